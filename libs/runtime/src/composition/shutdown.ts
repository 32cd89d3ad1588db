import type { Logger } from '#libs/telemetry';

/** A process that is asked to stop ends within this, in ms: supervisors kill after 10 s. */
export const STOP_DEADLINE_MS = 9000;

export interface Closable {
  close(): Promise<unknown>;
}

/**
 * On SIGTERM or SIGINT closes the application and exits: 0 when it closed, 1 when it failed to or
 * took longer than 9 s, at once on a second signal. The returned signal aborts when closing begins.
 */
export function closeOnSignals(app: Closable, logger: Logger): AbortSignal {
  const closing = new AbortController();
  const onSignal = (signal: NodeJS.Signals): void => {
    if (closing.signal.aborted) process.exit(1);
    closing.abort();
    logger.info({ signal }, 'Closing');
    setTimeout(() => {
      logger.error('Closing took too long; what is left is broken off');
      process.exit(1);
    }, STOP_DEADLINE_MS).unref();
    app.close().then(
      () => process.exit(0),
      (error: unknown) => {
        logger.error({ err: error }, 'Closing failed');
        process.exit(1);
      },
    );
  };
  process.on('SIGTERM', onSignal);
  process.on('SIGINT', onSignal);
  return closing.signal;
}
