import { NO_TRACING } from '#libs/telemetry';

/** What a connection reports where a test does not look at it. */
export const UNWATCHED = {
  metrics: { attached: () => undefined, drained: () => undefined },
  tracing: NO_TRACING,
};
