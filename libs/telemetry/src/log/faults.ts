import type { Logger } from './logger.js';

/**
 * The one way to report a fault that nobody waits for: what the libraries' `onProblem` callbacks
 * map to.
 */
export class Faults {
  constructor(private readonly logger: Logger) {}

  /** `what` failed, in words; `bindings` are ids that help to find out why, never content. */
  report(what: string, error?: unknown, bindings: Readonly<Record<string, unknown>> = {}): void {
    this.logger.error({ ...(error === undefined ? {} : { err: error }), ...bindings }, what);
  }
}
