import { setTimeout as delay } from 'node:timers/promises';
import type { Arming, KillPoint } from '../../tools/chaos/steps.js';
import { isArming } from '../../tools/chaos/steps.js';
import { takeStartOrder } from '../../tools/chaos/start-order.js';
import type { WorkWriter } from './work-writer.js';

/**
 * Where this process dies: it is told by its channel, or by an order that waited for its start, and
 * does it itself, so that it is exactly there.
 */
export class KillPoints {
  private armed: Arming | null = null;
  /** Of turns whose start was acknowledged while T4 is armed. */
  private readonly midStream = new Map<string, NodeJS.Timeout>();

  constructor(private readonly work: WorkWriter) {
    this.armed = takeStartOrder(work.folder);
    process.on('message', (message) => {
      if (!isArming(message)) return;
      this.armed = message.arm === null ? null : message;
      for (const turnId of this.midStream.keys()) this.streamEnds(turnId);
    });
  }

  /** Dies here if this is the step. */
  pass(step: KillPoint): void {
    if (this.armed?.arm === step) this.die(step);
  }

  /**
   * Makes a call; if this is the step, dies when the call is answered, or already some ms after it
   * was made.
   */
  async passSending<T>(step: KillPoint | null, call: () => Promise<T>): Promise<T> {
    const answer = call();
    if (step === null || this.armed?.arm !== step) return answer;
    const { afterMs } = this.armed;
    if (afterMs > 0) await Promise.race([answer, delay(afterMs)]);
    this.die(step);
    return answer;
  }

  /** A stream is under way: it dies some ms from now, unless the stream ends before. */
  streamBegins(turnId: string): void {
    if (this.armed?.arm !== 'T4') return;
    const timer = setTimeout(() => this.pass('T4'), this.armed.afterMs);
    this.midStream.set(turnId, timer);
  }

  streamEnds(turnId: string): void {
    clearTimeout(this.midStream.get(turnId));
    this.midStream.delete(turnId);
  }

  private die(step: KillPoint): void {
    this.work.note({ note: 'step', step });
    process.kill(process.pid, 'SIGKILL');
  }
}
