import type { SessionPokes } from './session-pokes.js';

/** What changes in a session; none is missed between a look and the wait for the next. */
export class SessionChanges {
  private wake: () => void = () => undefined;
  private readonly endListening: () => void;
  private readonly abort = (): void => this.wake();

  /** @param signal what ends a wait besides */
  constructor(
    pokes: SessionPokes,
    sessionId: string,
    private readonly signal?: AbortSignal,
  ) {
    this.endListening = pokes.listen(sessionId, () => this.wake());
    signal?.addEventListener('abort', this.abort);
  }

  /** From now on; gives what waits for the next change, for so many ms at most. */
  next(): (mostMs: number) => Promise<void> {
    const { promise, resolve } = Promise.withResolvers<undefined>();
    this.wake = () => resolve(undefined);
    return async (mostMs) => {
      const timer = setTimeout(this.wake, mostMs);
      await promise;
      clearTimeout(timer);
    };
  }

  end(): void {
    this.endListening();
    this.signal?.removeEventListener('abort', this.abort);
  }
}
