/** Request and response headers of the contract, in the lower case that Node uses. */
export const HEADERS = {
  sessionToken: 'x-session-token',
  sessionId: 'x-sbp-session-id',
  agentId: 'x-agent-id',
  idempotencyKey: 'idempotency-key',
  /** How often an OpenAI client has repeated a request by itself. */
  retryCount: 'x-stainless-retry-count',
  /** How many turns the prompt left out because the model's context would not hold them. */
  contextTurnsOmitted: 'x-sbp-context-turns-omitted',
  /** Of a request and its answer; also in the log, and in the bodies of answers from 500 on. */
  requestId: 'x-request-id',
  /** `1` on a 503 of a process that is shutting down: the request was not begun. */
  draining: 'x-sbp-draining',
} as const;

/** Headers of one connection, which end at each hop (RFC 9110, section 7.6.1). */
export const HOP_BY_HOP: ReadonlySet<string> = new Set([
  'connection',
  'keep-alive',
  'proxy-authenticate',
  'proxy-authorization',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
]);

/** The agent of a request that names none. */
export const DEFAULT_AGENT_ID = 'anonymous';

/** The principal of a request without a credential, where that is allowed. */
export const ANONYMOUS_PRINCIPAL = 'anonymous';

export const SBP_VERSION = '1.2';
export const SBP_LEVEL = 'L5';
