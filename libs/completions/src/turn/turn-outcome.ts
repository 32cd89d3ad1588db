import type { ModelResponse } from '#libs/llm';
import type { CallerPresence, PendingCall, SbpError } from '#libs/protocol';
import type { WholeAnswer } from '../tools/rounds-so-far.js';
import type { SentText } from './sent-text.js';
import type { Completed } from './turn-events.js';

/** Who reads a run while it goes on. */
export interface RunReader {
  /** Whether the HTTP caller is there, at the turn's commit. */
  presence(): CallerPresence;
  /** Whether somebody waits who has been told nothing yet, and can be told that nothing begins. */
  isAwaited(): boolean;
  /** Calls back when the caller has left, and wants the turn to end with that. */
  onLeft(listener: () => void): void;
  /** Whether the caller reads a stream. */
  readonly streams: boolean;
  /** Whether a stream's client asked for usage. */
  readonly showUsage: boolean;
  /** The turn has started, and is folded as open; told only where nothing may be told before. */
  started(): void;
  /** The answer is a stream, and begins; its start is acknowledged [A2]. */
  begin(head: ModelResponse): void;
  /** A chunk that may be sent on at once, as JSON; `id`: the place in the text behind it. */
  chunk(data: string, id: string): void;
}

/** What came of a run. `caller`: whether the turn's end says that the caller was there. */
export type TurnOutcome =
  /** Nothing has begun. */
  | { readonly type: 'unstarted'; readonly error: SbpError }
  /** Nobody runs it while its calls wait; it goes on by itself, and its answer waits then. */
  | { readonly type: 'parked'; readonly calls: readonly PendingCall[] }
  | {
      readonly type: 'completed';
      readonly caller: CallerPresence;
      readonly head: ModelResponse;
      readonly answer: WholeAnswer;
      readonly event: Completed;
      /** Where its text ended, as `RunReader.chunk` tells it. */
      readonly place: string;
    }
  /** The model answered with an error, to be passed on as it is. */
  | {
      readonly type: 'refused';
      readonly caller: CallerPresence;
      readonly head: ModelResponse;
      readonly body: Buffer;
    }
  | { readonly type: 'failed'; readonly caller: CallerPresence; readonly error: SbpError }
  /**
   * Somebody stopped it, and its end may say that the caller was there; or its caller left and
   * wanted it to end then.
   */
  | { readonly type: 'cancelled'; readonly caller: CallerPresence }
  /**
   * Another process has the turn, or will have it: it won the claim, or this process ends, or
   * failed to go on.
   */
  | {
      readonly type: 'elsewhere';
      readonly why: 'lost' | 'handed-over' | 'failed';
      /** What the reader has got. */
      readonly sent: SentText;
    };
