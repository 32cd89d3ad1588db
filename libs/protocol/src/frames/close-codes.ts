/** Why the server closed a surface's WebSocket, and so what the client should do next. */
export const CLOSE = {
  NORMAL: { code: 1000, reason: 'normal' },
  PROTOCOL_ERROR: { code: 1003, reason: 'protocol error' },
  TOO_BIG: { code: 1009, reason: 'too big' },
  /** Return at once. */
  GOING_AWAY: { code: 1012, reason: 'going away' },
  /** Return later. */
  OVERLOADED: { code: 1013, reason: 'overloaded' },
  FORBIDDEN: { code: 4003, reason: 'forbidden' },
  SESSION_NOT_FOUND: { code: 4004, reason: 'session not found' },
  /** No PONG, or the client does not read: return at once. */
  UNRESPONSIVE: { code: 4008, reason: 'unresponsive' },
  /** Another surface took over: do not return by yourself. */
  REPLACED: { code: 4009, reason: 'REPLACED' },
} as const;

export type Close = (typeof CLOSE)[keyof typeof CLOSE];
