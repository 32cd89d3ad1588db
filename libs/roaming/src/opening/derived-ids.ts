import { createHash, randomUUID } from 'node:crypto';
import type { IncomingHttpHeaders } from 'node:http';
import { HEADERS, LIMITS, SbpError } from '#libs/protocol';

/** Which session a request is to make. */
export interface NewSession {
  readonly sessionId: string;
  /** SHA-256, in hex, of the request's body, where it has an `Idempotency-Key`; else null. */
  readonly bodyHash: string | null;
}

/**
 * The id of the session that a request makes. With an `Idempotency-Key` it follows from the key, so
 * that a repeat finds the session that is there already. `scope`: what the key belongs to.
 * @throws SbpError SBP_INVALID_REQUEST
 */
export function newSession(
  headers: IncomingHttpHeaders,
  scope: readonly string[],
  body: Uint8Array | undefined,
): NewSession {
  const header = headers[HEADERS.idempotencyKey];
  const key = typeof header === 'string' ? header : header?.[0];
  if (key === undefined || key === '') return { sessionId: randomUUID(), bodyHash: null };
  if (key.length > LIMITS.idempotencyKey) {
    const message = `Idempotency-Key: has more than ${LIMITS.idempotencyKey} characters.`;
    throw new SbpError('SBP_INVALID_REQUEST', message, { param: 'Idempotency-Key' });
  }
  const hash = createHash('sha256')
    .update(JSON.stringify([...scope, key]))
    .digest();
  return {
    sessionId: uuidOf(hash),
    bodyHash: createHash('sha256')
      .update(body ?? new Uint8Array())
      .digest('hex'),
  };
}

/**
 * Where a session of this key is there already: it must have been asked for by the same body.
 * @throws SbpError SBP_INVALID_REQUEST
 */
export function mustBeSameBody(bodyHash: string | null, known: string | null): void {
  if (bodyHash === known) return;
  const message = 'Idempotency-Key: was used for a request with another body. Choose a new one.';
  throw new SbpError('SBP_INVALID_REQUEST', message, { param: 'Idempotency-Key' });
}

/** A UUID of version 8 (RFC 9562) that holds the first bits of a hash. */
function uuidOf(hash: Buffer): string {
  const bytes = Buffer.from(hash.subarray(0, 16));
  bytes[6] = 0x80 | ((bytes[6] ?? 0) & 0x0f);
  bytes[8] = 0x80 | ((bytes[8] ?? 0) & 0x3f);
  const hex = bytes.toString('hex');
  const cuts = [0, 8, 12, 16, 20, 32];
  return cuts
    .slice(1)
    .map((end, at) => hex.slice(cuts[at], end))
    .join('-');
}
