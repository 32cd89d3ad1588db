import { webcrypto } from 'node:crypto';
import { errors, jwtVerify, SignJWT } from 'jose';
import type { JWTPayload } from 'jose';

/** Longer than any token that this project issues; what is longer is refused unread. */
export const MAX_TOKEN_LENGTH = 8192;

const ALGORITHM = 'HS256';

/** What a compact JWT is worth: its claims count only where the signature is ours. */
export type SignedClaims =
  | { readonly type: 'valid'; readonly claims: JWTPayload }
  /** Ours, but its `exp` has passed. */
  | { readonly type: 'expired'; readonly claims: JWTPayload }
  /** Forged, damaged, unsigned, signed otherwise, or no token at all. */
  | { readonly type: 'invalid' };

/** A key as jose takes it without importing it again at each use. */
export type SigningKey = Promise<webcrypto.CryptoKey>;

export function signingKey(secret: Uint8Array): SigningKey {
  const bytes = Uint8Array.from(secret);
  const algorithm = { name: 'HMAC', hash: 'SHA-256' };
  return webcrypto.subtle.importKey('raw', bytes, algorithm, false, ['sign', 'verify']);
}

/**
 * Signs claims as a compact JWT; by the secret with the header `{"alg":"HS256","typ":"JWT"}`, by
 * another key with its algorithm and its id.
 */
export async function signClaims(
  key: SigningKey,
  claims: Readonly<Record<string, unknown>>,
  by: { readonly alg: string; readonly kid?: string } = { alg: ALGORITHM },
): Promise<string> {
  const { alg, kid } = by;
  const header = { alg, typ: 'JWT', ...(kid === undefined ? {} : { kid }) };
  return new SignJWT({ ...claims }).setProtectedHeader(header).sign(await key);
}

/** Verifies signature, algorithm and times. Never rejects for what the token is. */
export async function verifySignature(key: SigningKey, token: string): Promise<SignedClaims> {
  return verifyWith(await key, ALGORITHM, token);
}

/** As `verifySignature`, by a key of this algorithm. */
export async function verifyWith(
  key: webcrypto.CryptoKey,
  algorithm: string,
  token: string,
): Promise<SignedClaims> {
  if (token.length > MAX_TOKEN_LENGTH) return { type: 'invalid' };
  try {
    const { payload } = await jwtVerify(token, key, {
      algorithms: [algorithm],
      requiredClaims: ['iat', 'exp'],
    });
    return { type: 'valid', claims: payload };
  } catch (error) {
    // Times are checked after the signature, so these claims are ours.
    if (error instanceof errors.JWTExpired) return { type: 'expired', claims: error.payload };
    if (error instanceof errors.JOSEError) return { type: 'invalid' };
    throw error;
  }
}
