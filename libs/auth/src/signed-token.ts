import { createSecretKey } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import { errors, jwtVerify, SignJWT } from 'jose';
import type { JWTPayload } from 'jose';

/** Longer than any token that this project issues; what is longer is refused unread. */
const MAX_TOKEN_LENGTH = 8192;

const ALGORITHM = 'HS256';

/** What a compact JWT is worth: its claims count only where the signature is ours. */
export type SignedClaims =
  | { readonly type: 'valid'; readonly claims: JWTPayload }
  /** Ours, but its `exp` has passed. */
  | { readonly type: 'expired'; readonly claims: JWTPayload }
  /** Forged, damaged, unsigned, signed otherwise, or no token at all. */
  | { readonly type: 'invalid' };

export function signingKey(secret: Uint8Array): KeyObject {
  return createSecretKey(secret);
}

/** Signs claims as a compact JWT whose header is exactly `{"alg":"HS256","typ":"JWT"}`. */
export function signClaims(
  key: KeyObject,
  claims: Readonly<Record<string, unknown>>,
): Promise<string> {
  return new SignJWT({ ...claims }).setProtectedHeader({ alg: ALGORITHM, typ: 'JWT' }).sign(key);
}

/** Verifies signature, algorithm and times. Never rejects for what the token is. */
export async function verifySignature(key: KeyObject, token: string): Promise<SignedClaims> {
  if (token.length > MAX_TOKEN_LENGTH) return { type: 'invalid' };
  try {
    const { payload } = await jwtVerify(token, key, {
      algorithms: [ALGORITHM],
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
