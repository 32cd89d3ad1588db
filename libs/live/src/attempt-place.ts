import { attemptId } from './attempt.js';
import { EMPTY_TEXT, extended } from './text-digest.js';

/** How far the text of an attempt has come: the `id:` of a stream's events. */
export class AttemptPlace {
  private said = EMPTY_TEXT;
  private readonly attempt: string;

  constructor(turnId: string, epoch: number) {
    this.attempt = attemptId(turnId, epoch);
  }

  /** More text; half a code point counts when its other half has come. */
  append(delta: string): void {
    if (delta !== '') this.said = extended(this.said, delta);
  }

  /** `<chunk_id>:<code points>`. */
  get id(): string {
    return `${this.attempt}:${this.said.codePoints}`;
  }
}
