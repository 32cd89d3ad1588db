/** Why a broker will never take some messages. */
export interface Rejection {
  readonly reason: 'too_large' | 'not_authorised' | 'invalid';
  readonly detail: string;
}

/** Kafka's names of the produce errors that the same messages would meet again. */
const PERMANENT = new Map<string, Rejection['reason']>([
  ['MESSAGE_TOO_LARGE', 'too_large'],
  ['RECORD_LIST_TOO_LARGE', 'too_large'],
  ['TOPIC_AUTHORIZATION_FAILED', 'not_authorised'],
  ['CLUSTER_AUTHORIZATION_FAILED', 'not_authorised'],
  ['INVALID_RECORD', 'invalid'],
  ['INVALID_TIMESTAMP', 'invalid'],
  ['UNSUPPORTED_FOR_MESSAGE_FORMAT', 'invalid'],
  ['POLICY_VIOLATION', 'invalid'],
]);

/**
 * The permanent rejection in a send's error, or null where another try may succeed. kafkajs wraps
 * what it gives up.
 */
export function rejectionOf(error: unknown): Rejection | null {
  for (let cause = error; cause instanceof Error; cause = cause.cause) {
    const type = protocolErrorType(cause);
    const reason = type === null ? undefined : PERMANENT.get(type);
    if (type !== null && reason !== undefined)
      return { reason, detail: `${type}: ${cause.message}` };
  }
  return null;
}

/** Kafka's name of a protocol error, for example `OFFSET_OUT_OF_RANGE`. */
export function protocolErrorType(error: unknown): string | null {
  return error instanceof Error && 'type' in error && typeof error.type === 'string'
    ? error.type
    : null;
}
