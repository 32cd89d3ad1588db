import { createParser } from 'eventsource-parser';
import { Chunk } from './bodies.js';
import { Arrivals } from './waiting.js';

export interface StreamEvent {
  readonly event: string | undefined;
  readonly id: string | undefined;
  readonly data: string;
}

/** A streamed answer, read as it comes. */
export class CompletionStream {
  readonly events: StreamEvent[] = [];
  readonly headers: Headers;
  /** How the connection ended: properly, or broken off. */
  readonly ended: Promise<'whole' | 'broken'>;
  private readonly arrivals = new Arrivals();
  private isOver = false;

  constructor(
    response: Response,
    private readonly abort: AbortController,
  ) {
    this.headers = response.headers;
    this.ended = this.read(response);
  }

  /** The chunks so far. */
  get chunks(): readonly Chunk[] {
    return this.events
      .filter(({ event, data }) => event === undefined && data !== '[DONE]')
      .map(({ data }) => Chunk.parse(JSON.parse(data)));
  }

  /** The text of one choice so far. */
  text(choice = 0): string {
    return this.chunks
      .flatMap(({ choices }) => choices)
      .filter(({ index }) => index === choice)
      .map(({ delta }) => delta.content ?? '')
      .join('');
  }

  /** Waits for a state of what has come. */
  async until(condition: (stream: this) => boolean): Promise<void> {
    await this.arrivals.until(() => {
      if (condition(this)) return true;
      if (this.isOver) throw new Error(`the stream ended before: ${this.text()}`);
      return undefined;
    });
  }

  /** Waits for a whole stream. */
  async whole(): Promise<this> {
    const end = await this.ended;
    if (end !== 'whole') throw new Error(`the stream was ${end} after: ${this.text()}`);
    return this;
  }

  /** The caller goes away. */
  async leave(): Promise<void> {
    this.abort.abort();
    await this.ended;
  }

  private async read({ body }: Response): Promise<'whole' | 'broken'> {
    const parser = createParser({
      onEvent: ({ event, id, data }) => {
        this.events.push({ event, id, data });
        this.arrivals.wake();
      },
    });
    const decoder = new TextDecoder();
    try {
      for await (const bytes of body ?? [])
        parser.feed(decoder.decode(bytes as Uint8Array, { stream: true }));
      return 'whole';
    } catch {
      return 'broken';
    } finally {
      this.isOver = true;
      this.arrivals.wake();
    }
  }
}
