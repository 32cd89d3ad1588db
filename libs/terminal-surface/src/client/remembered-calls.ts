import type { ToolOutcome } from '../tools/tool.js';
import { failure } from '../tools/tool.js';

const MOST_CALLS = 1_000;

interface Call {
  readonly outcome: Promise<ToolOutcome>;
  hasEnded: boolean;
}

/**
 * Makes each call once, however often it is told, because a tool may have a side effect. It
 * remembers the last calls, of which the oldest that has ended is forgotten first. Where none of
 * them has ended, a further call is refused.
 */
export class RememberedCalls {
  private readonly calls = new Map<string, Call>();

  constructor(private readonly most = MOST_CALLS) {}

  /** Whether the call was made, and its outcome is not there yet. */
  isRunning(callId: string): boolean {
    return this.calls.get(callId)?.hasEnded === false;
  }

  /** The outcome of the call, which is made if it is not known. */
  outcome(callId: string, make: () => Promise<ToolOutcome>): Promise<ToolOutcome> {
    const known = this.calls.get(callId);
    if (known !== undefined) return known.outcome;
    if (!this.hasRoom()) return Promise.resolve(failure('Too many calls run at once.'));
    const call: Call = {
      hasEnded: false,
      outcome: make().finally(() => {
        call.hasEnded = true;
      }),
    };
    this.calls.set(callId, call);
    return call.outcome;
  }

  private hasRoom(): boolean {
    if (this.calls.size < this.most) return true;
    for (const [callId, { hasEnded }] of this.calls) {
      if (hasEnded) return this.calls.delete(callId);
    }
    return false;
  }
}
