import { randomUUID } from 'node:crypto';
import { SessionClaims } from '#libs/protocol';
import type { SigningKey } from './signed-token.js';
import { signClaims, signingKey, verifySignature } from './signed-token.js';

const LIFETIME_SECONDS = 30 * 24 * 60 * 60;

export interface IssuedSessionToken {
  readonly token: string;
  readonly expiresAt: Date;
}

/** What a token says. */
interface SessionTokenClaims {
  readonly sessionId: string;
  /** It counts only where the session has revoked no tokens of this generation. */
  readonly generation: number;
}

export type SessionTokenVerdict =
  | ({ readonly type: 'valid' } & SessionTokenClaims)
  | ({ readonly type: 'expired' } & SessionTokenClaims)
  /** Forged, damaged, of another use, or no token at all. */
  | { readonly type: 'invalid' };

/** Session tokens: each permits everything on its one session, for 30 days, and nothing else. */
export class SessionTokens {
  private readonly key: SigningKey;

  /** `secret`: the bytes that `loadSecret` gave, the same in every process of a deployment. */
  constructor(secret: Uint8Array) {
    this.key = signingKey(secret);
  }

  /**
   * A new token, different from every other one; the earlier ones of the session stay valid.
   * `generation`: that of the session's tokens now.
   */
  async issue(sessionId: string, generation: number): Promise<IssuedSessionToken> {
    const iat = Math.floor(Date.now() / 1000);
    const exp = iat + LIFETIME_SECONDS;
    const token = await signClaims(this.key, {
      sid: sessionId,
      use: 'session',
      iat,
      exp,
      jti: randomUUID(),
      ...(generation === 0 ? {} : { gen: generation }),
    });
    return { token, expiresAt: new Date(exp * 1000) };
  }

  /** Says what a text is worth as a session token; never rejects for what the text is. */
  async verify(token: string): Promise<SessionTokenVerdict> {
    const signed = await verifySignature(this.key, token);
    if (signed.type === 'invalid') return signed;
    const claims = SessionClaims.safeParse(signed.claims);
    if (!claims.success) return { type: 'invalid' };
    const { sid: sessionId, gen: generation } = claims.data;
    return { type: signed.type, sessionId, generation };
  }
}
