import type { JsonObject, SbpError } from '#libs/protocol';
import type { ModelResponse } from '#libs/llm';

/** What every answer of a tracked turn carries in its head. */
export interface SessionHeaders {
  readonly sessionId: string;
  readonly sessionToken: string;
}

/**
 * Who waits for a turn's answer over HTTP, if anybody does. Nothing is written before `begin`,
 * `answer`, `relay` or `fail` [A2]. The last four end the exchange; they resolve whether all of it
 * could be written.
 */
export interface Caller {
  /** False once the connection is gone. */
  readonly connected: boolean;
  /** Whether an answer was given, or has begun. */
  readonly answered: boolean;
  /** Called once when the connection goes before the answer is complete. */
  onGone(listener: () => void): void;
  /** Sends the head of a stream. */
  begin(head: ModelResponse, session: SessionHeaders): void;
  /** Sends one chunk of a stream, as JSON text; `id`: the place in the turn's text behind it. */
  chunk(data: string, id: string): void;
  /** Ends a stream, by `[DONE]`. */
  done(): Promise<boolean>;
  /** Sends a whole JSON answer. */
  answer(head: ModelResponse, session: SessionHeaders, body: JsonObject): Promise<boolean>;
  /**
   * Passes an answer of the model on that is not a completion: an error with its status and body.
   */
  relay(head: ModelResponse, session: SessionHeaders, body: Uint8Array): Promise<boolean>;
  /**
   * Tells of a failure: by its status, or in a stream that has begun by an `error` event and a
   * broken connection.
   */
  fail(error: SbpError, session: SessionHeaders | null): Promise<boolean>;
}
