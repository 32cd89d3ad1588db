/** What a bundle has beside its messages, in bytes: the most. */
const BESIDE_MESSAGES = 20_000_000;

/**
 * Bytes of a bundle that is taken from another server, where a session may have `sessionBytes`:
 * each message says beside its own bytes where it comes from.
 */
export function mostBundleBytes(sessionBytes: number): number {
  return 2 * sessionBytes + BESIDE_MESSAGES;
}

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
  /** How long a client may take for its first frame, in ms: people paste it by hand. */
  attachTimeoutMs: 60_000,
  /** Client frames that may wait until SESSION_ATTACHED was sent. */
  waitingFrames: 256,
  /**
   * Frames of one socket, its WebSocket's own pings and pongs among them. A surface answers PINGs
   * and sends tools' results: a few frames a second; the rest is room for what waited on a client
   * that comes back.
   */
  frameRate: { perSecond: 200, atOnce: 2_000 },
  /** Bytes of one socket's frames; at once as much as four results of tools at their largest. */
  frameByteRate: { perSecond: 8 * 1024 * 1024, atOnce: 32 * 1024 * 1024 },
  /** Characters of `X-Agent-ID`. */
  agentId: 256,
  /** Characters of a principal's name. */
  principal: 256,
  /** Characters of `Idempotency-Key`. */
  idempotencyKey: 255,
  /** Turns, and messages, of a bundle. */
  bundleCount: 1_000_000_000,
  /** The last place in a list that can be asked for: one more must still be an INT of Postgres. */
  place: 2 ** 31 - 2,
  /** Messages in one request. */
  messages: 10_000,
} as const;
