import { attemptId } from './attempt.js';
import { wholeCodePoints } from './code-points.js';

/** How far the text of an attempt has come: the `id:` of a stream's events. */
export class AttemptPlace {
  private codePoints = 0;
  /** Half of a code point, whose other half is still to come: readers are sent none either. */
  private half = '';
  private readonly attempt: string;

  constructor(turnId: string, epoch: number) {
    this.attempt = attemptId(turnId, epoch);
  }

  append(delta: string): void {
    const { whole, half } = wholeCodePoints(this.half + delta);
    this.half = half;
    this.codePoints += Array.from(whole).length;
  }

  /** `<chunk_id>:<code points>`. */
  get id(): string {
    return `${this.attempt}:${this.codePoints}`;
  }
}
