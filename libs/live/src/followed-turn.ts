import type { MailboxMessageOf } from '#libs/mailbox';
import type { ProcessAddress, ServerFrame } from '#libs/protocol';
import type { ShownAttempt } from './attempt.js';
import { beginAttempt, nextChunk } from './attempt.js';
import { isHighSurrogate, wholeCodePoints } from './code-points.js';
import { place } from './placement.js';

/**
 * Most UTF-16 code units of live text that wait while a reader is slow; past it the runner is asked
 * again later.
 */
const MAX_WAITING = 1024 * 1024;

/** What a message of a runner brought. */
export type Heard =
  /** Nothing to write. */
  | 'nothing'
  | 'text'
  /** Something is missing, or the turn goes on in another attempt: look at the read models. */
  | 'missing';

/** Who reads, and where it is answered. */
export interface Reader {
  readonly sessionId: string;
  readonly attachId: string;
  readonly replyTo: ProcessAddress;
}

/**
 * The open turn as one reader follows it. Of the text that was written it keeps a digest only, so
 * that following costs the same however long the answer is; what waits to be written is bounded.
 */
export class FollowedTurn {
  private waiting = '';
  private runnerAnswers = false;

  private constructor(private attempt: ShownAttempt) {}

  /** `earlier`: what the same reader followed before, of whatever turn. */
  static follow(turnId: string, epoch: number, earlier: FollowedTurn | null): FollowedTurn {
    const same = earlier?.attempt.turnId === turnId ? earlier : null;
    if (same?.attempt.epoch === epoch) return same;
    return new FollowedTurn(beginAttempt(turnId, epoch, same?.attempt ?? null));
  }

  /** All of the attempt that was written. */
  get shown(): ShownAttempt {
    return this.attempt;
  }

  /** The runner answered the last `watch`, and nothing that came since was missing. */
  get answering(): boolean {
    return this.runnerAnswers;
  }

  get hasText(): boolean {
    const { length } = this.waiting;
    return length > 1 || (length === 1 && !isHighSurrogate(this.waiting.charCodeAt(0)));
  }

  /** Live text from a runner. */
  accept(message: MailboxMessageOf<'live'>): Heard {
    const { turnId, epoch } = this.attempt;
    if (message.turn_id !== turnId || message.epoch < epoch) return 'nothing';
    // A higher epoch is known to be the turn's only when it is folded.
    if (message.epoch > epoch) return 'missing';
    const placement = place(this.received(), message);
    if (placement.type === 'gap') {
      // After one gap all that follows is behind it too: one question is enough until it is
      // answered.
      const first = this.runnerAnswers;
      this.runnerAnswers = false;
      return first ? 'missing' : 'nothing';
    }
    const taken = placement.text.slice(0, MAX_WAITING - this.waiting.length);
    this.waiting += taken;
    this.runnerAnswers = taken.length === placement.text.length;
    if (!this.runnerAnswers) return 'missing';
    return taken === '' ? 'nothing' : 'text';
  }

  /** Everything that waits, as one chunk; null where nothing does. */
  takeChunk(): ServerFrame | null {
    const { whole, half } = wholeCodePoints(this.waiting);
    if (whole === '') return null;
    const { attempt, frame } = nextChunk(this.attempt, whole);
    this.attempt = attempt;
    this.waiting = half;
    return frame;
  }

  /** Asks the turn's runner for the text that the reader does not have. */
  watch({ sessionId, attachId, replyTo }: Reader): MailboxMessageOf<'watch'> {
    return {
      type: 'watch',
      session_id: sessionId,
      turn_id: this.attempt.turnId,
      epoch: this.attempt.epoch,
      attach_id: attachId,
      offset: this.received(),
      reply_to: replyTo,
    };
  }

  /** UTF-16 code units that the reader has of the attempt. */
  private received(): number {
    return this.attempt.shown.units + this.waiting.length;
  }
}
