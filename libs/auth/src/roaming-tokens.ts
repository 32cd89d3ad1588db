import { RoamingClaims } from '#libs/protocol';
import type { SigningKey } from './signed-token.js';
import { signClaims, signingKey, verifySignature } from './signed-token.js';

const LONGEST_LIFETIME_SECONDS = 7 * 24 * 60 * 60;

export type RoamingTokenVerdict =
  | { readonly type: 'valid'; readonly claims: RoamingClaims }
  | { readonly type: 'expired'; readonly claims: RoamingClaims }
  /** Forged, damaged, of another use, or no token at all. */
  | { readonly type: 'invalid' };

/** Roaming tokens: each refers to one exported bundle, on any server that shares the secret. */
export class RoamingTokens {
  private readonly key: SigningKey;

  /** `secret`: the bytes that `loadSecret` gave. */
  constructor(secret: Uint8Array) {
    this.key = signingKey(secret);
  }

  issue({ sub, sid, iat, exp, iss, cid }: RoamingClaims): Promise<string> {
    return signClaims(this.key, { sub, sid, iat, exp, iss, cid });
  }

  /**
   * Says what a text is worth as a roaming token; never rejects for what the text is. Whether the
   * export was consumed is not in the token.
   */
  async verify(token: string): Promise<RoamingTokenVerdict> {
    const signed = await verifySignature(this.key, token);
    // One secret signs both kinds: a session token says its use, a roaming token has none.
    if (signed.type === 'invalid' || 'use' in signed.claims) return { type: 'invalid' };
    const claims = RoamingClaims.safeParse(signed.claims);
    if (!claims.success || claims.data.exp - claims.data.iat > LONGEST_LIFETIME_SECONDS)
      return { type: 'invalid' };
    return { type: signed.type, claims: claims.data };
  }
}
