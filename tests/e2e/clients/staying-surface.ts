import { ACKNOWLEDGES, Surface } from './surface.js';
import type { SessionKey } from './surface.js';

const GOING_AWAY = 1012;

/** A surface that returns at once where its gateway goes away, and writes down what it reads. */
export class StayingSurface {
  /** The turns that it has read to their ends, by their numbers, in the order of their coming. */
  readonly read = new Map<number, string>();
  private surface: Surface | null = null;
  private hasLeft = false;
  private readonly staying: Promise<void>;

  private constructor(
    private readonly url: string,
    private readonly key: SessionKey,
    private readonly attached: PromiseWithResolvers<undefined>,
  ) {
    this.staying = this.stay();
    // Seen by whoever leaves.
    this.staying.catch((error: unknown) => this.attached.reject(error));
  }

  static async attach(url: string, key: SessionKey): Promise<StayingSurface> {
    const attached = Promise.withResolvers<undefined>();
    const surface = new StayingSurface(url, key, attached);
    await attached.promise;
    return surface;
  }

  /** Leaves; throws where it was ever closed for another reason than its gateway's end. */
  async leave(): Promise<void> {
    this.hasLeft = true;
    await this.surface?.close(1000);
    await this.staying;
  }

  private async stay(): Promise<void> {
    for (;;) {
      const surface = await Surface.connect(this.url, this.key.session_id);
      surface.socket.on('message', () => {
        const frame = surface.frames.at(-1);
        if (frame?.type === 'SESSION_ATTACHED') this.attached.resolve(undefined);
        if (frame?.type === 'PING') surface.pong();
        if (frame?.type !== 'TURN_COMPLETE' && frame?.type !== 'TETHER_TURN') return;
        // What was not acknowledged comes again.
        if (!this.read.has(frame.seq)) this.read.set(frame.seq, frame.turn_id);
      });
      surface.attach(this.key, ACKNOWLEDGES.context);
      this.surface = surface;
      const code = await surface.closed;
      if (this.hasLeft) return;
      if (code !== GOING_AWAY) throw new Error(`the surface was closed: ${code}`);
    }
  }
}
