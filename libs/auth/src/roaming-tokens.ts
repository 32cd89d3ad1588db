import { RoamingClaims } from '#libs/protocol';
import type { JWK, JWTPayload } from 'jose';
import { decodeJwt, decodeProtectedHeader, importJWK } from 'jose';
import { isKeyAlgorithm } from './signing-keys.js';
import type { SigningKeys } from './signing-keys.js';
import type { SigningKey } from './signed-token.js';
import {
  MAX_TOKEN_LENGTH,
  signClaims,
  signingKey,
  verifySignature,
  verifyWith,
} from './signed-token.js';

const LONGEST_LIFETIME_SECONDS = 7 * 24 * 60 * 60;
/** How much another server's clock may be ahead, in seconds. */
const CLOCK_SKEW_SECONDS = 60;

/**
 * Who signed a token: somebody with the shared secret, which may be this server or another; this
 * server's own key; or the key of the server that it names as its issuer.
 */
export type TokenSigner = 'secret' | 'own key' | 'issuer';

export type RoamingTokenVerdict =
  | { readonly type: 'valid'; readonly claims: RoamingClaims; readonly signer: TokenSigner }
  | { readonly type: 'expired'; readonly claims: RoamingClaims; readonly signer: TokenSigner }
  /** Forged, damaged, of another use, of a server that is not trusted, or no token at all. */
  | { readonly type: 'invalid' };

/** The key sets of the servers that this one trusts. */
export interface IssuerKeys {
  /** Null where the server is not trusted, or has no such key. */
  keyOf(issuer: string, kid: string): Promise<JWK | null>;
}

/** Roaming tokens: each refers to one exported bundle. */
export class RoamingTokens {
  private readonly secretKey: SigningKey;

  /** `secret`: the bytes that `loadSecret` gave. */
  constructor(
    secret: Uint8Array,
    private readonly keys: SigningKeys,
    private readonly issuers: IssuerKeys,
  ) {
    this.secretKey = signingKey(secret);
  }

  /** Signed by this server's key, where it has one; else by the shared secret. */
  async issue({ sub, sid, iat, exp, iss, cid }: RoamingClaims): Promise<string> {
    const claims = { sub, sid, iat, exp, iss, cid };
    const own = await this.keys.current();
    return own === null
      ? signClaims(this.secretKey, claims)
      : signClaims(Promise.resolve(own.key), claims, { alg: own.alg, kid: own.kid });
  }

  /**
   * Says what a text is worth as a roaming token; never rejects for what the text is. Whether the
   * export was consumed is not in the token. The algorithm is that of the key, whatever the token
   * says, so that no public key can pass for a secret.
   */
  async verify(token: string): Promise<RoamingTokenVerdict> {
    const header = headerOf(token);
    if (header === null) return { type: 'invalid' };
    const { alg, kid } = header;
    if (alg === 'HS256') {
      return verdictOf(await verifySignature(this.secretKey, token), 'secret');
    }
    if (!isKeyAlgorithm(alg) || kid === undefined) return { type: 'invalid' };
    const own = await this.keys.verifier(kid);
    if (own !== null) {
      const verdict = verdictOf(await verifyWith(own.key, own.alg, token), 'own key');
      const isLate =
        verdict.type !== 'invalid' && verdict.claims.iat > (own.lastIssued ?? Infinity);
      return isLate ? { type: 'invalid' } : verdict;
    }
    const issuer = issuerOf(token);
    const jwk = issuer === null ? null : await this.issuers.keyOf(issuer, kid);
    if (jwk === null || jwk.alg !== alg) return { type: 'invalid' };
    const key = await importJWK(jwk, alg).catch(() => null);
    if (key === null || key instanceof Uint8Array) return { type: 'invalid' };
    return verdictOf(await verifyWith(key, alg, token), 'issuer');
  }
}

function verdictOf(
  signed: Awaited<ReturnType<typeof verifySignature>>,
  signer: TokenSigner,
): RoamingTokenVerdict {
  // One secret signs both kinds: a session token says its use, a roaming token has none.
  if (signed.type === 'invalid' || 'use' in signed.claims) return { type: 'invalid' };
  const claims = RoamingClaims.safeParse(signed.claims);
  if (!claims.success || !hasSaneTimes(claims.data)) return { type: 'invalid' };
  return { type: signed.type, claims: claims.data, signer };
}

function hasSaneTimes({ iat, exp }: RoamingClaims): boolean {
  const isFromTheFuture = iat > Date.now() / 1000 + CLOCK_SKEW_SECONDS;
  return !isFromTheFuture && exp - iat <= LONGEST_LIFETIME_SECONDS;
}

function headerOf(token: string): { readonly alg?: string; readonly kid?: string } | null {
  if (token.length > MAX_TOKEN_LENGTH) return null;
  try {
    const { alg, kid } = decodeProtectedHeader(token);
    return {
      ...(typeof alg === 'string' ? { alg } : {}),
      ...(typeof kid === 'string' ? { kid } : {}),
    };
  } catch {
    return null;
  }
}

/** What a token says of its issuer, before anything of it is believed. */
function issuerOf(token: string): string | null {
  let claims: JWTPayload;
  try {
    claims = decodeJwt(token);
  } catch {
    return null;
  }
  return typeof claims.iss === 'string' ? claims.iss : null;
}
