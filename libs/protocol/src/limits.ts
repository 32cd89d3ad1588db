/** Bounds of what the outside may send; past them it is refused, never cut. Sizes in bytes. */
export const LIMITS = {
  /** A request body: 413 above it, before anything is claimed. */
  requestBody: 8 * 1024 * 1024,
  /** A record of the log, and so one append; Kafka's `max.message.bytes`. */
  logRecord: 10 * 1024 * 1024,
  /** The first client frame. */
  attachFrame: 64 * 1024,
  /** Any client frame: a tool's result is the largest. */
  clientFrame: 8 * 1024 * 1024,
  /** How long a client may take for its first frame, in ms. */
  attachTimeoutMs: 10_000,
  /** Characters of `X-Agent-ID`. */
  agentId: 256,
  /** Messages in one request. */
  messages: 10_000,
} as const;
