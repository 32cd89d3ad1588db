import type { IncomingHttpHeaders } from 'node:http';
import { ANONYMOUS_PRINCIPAL } from '#libs/protocol';
import { ApiKeys, isApiKey } from './api-keys.js';
import type { JwtIssuer } from './jwt-bearer.js';
import { JwtBearer } from './jwt-bearer.js';
import type { Principal } from './principal.js';

/** How principals are told apart. */
export type AuthSettings =
  /** Everybody is the anonymous principal, and may do everything. */
  | { readonly type: 'open' }
  | {
      readonly type: 'required';
      /** The file of API keys; there need not be one. */
      readonly apiKeyFile: string;
      readonly jwt: JwtIssuer | null;
    };

export type Authentication =
  | { readonly type: 'principal'; readonly principal: Principal }
  /** There is no credential in the header. */
  | { readonly type: 'none' }
  /** `problem` continues a sentence that begins with the header's name. */
  | { readonly type: 'refused'; readonly problem: string }
  | { readonly type: 'unavailable'; readonly cause: unknown };

const BEARER = /^bearer +(?<credential>\S+) *$/i;

/** With open access everybody is this one, who may look at what operators look at. */
const EVERYBODY: Principal = { name: ANONYMOUS_PRINCIPAL, role: 'user' };

/** Who sends a request, by its `Authorization`: an API key of this server or a JWT. */
export class Principals {
  private readonly keys: ApiKeys | null;
  private readonly jwt: JwtBearer | null;

  constructor(settings: AuthSettings) {
    const isOpen = settings.type === 'open';
    this.keys = isOpen ? null : new ApiKeys(settings.apiKeyFile);
    this.jwt = isOpen || settings.jwt === null ? null : new JwtBearer(settings.jwt);
  }

  /** Whether everybody may do everything: `Authorization` is not looked at. */
  get isOpen(): boolean {
    return this.keys === null;
  }

  /** Who anybody is that has sent no credential; null where that is nobody. */
  get everybody(): Principal | null {
    return this.isOpen ? EVERYBODY : null;
  }

  /** @throws UnusableKeys */
  async authenticate({ authorization }: IncomingHttpHeaders): Promise<Authentication> {
    if (this.keys === null) return { type: 'principal', principal: EVERYBODY };
    if (authorization === undefined || authorization === '') return { type: 'none' };
    const credential = bearer(authorization);
    if (credential === null) return refused('must be "Bearer" and an API key or a JWT');
    if (!isApiKey(credential)) return this.byJwt(credential);
    const verdict = this.keys.verify(credential);
    switch (verdict.type) {
      case 'valid':
        return { type: 'principal', principal: verdict.principal };
      case 'expired':
        return refused('holds an API key that has expired');
      case 'revoked':
        return refused('holds an API key that was revoked');
      case 'unknown':
        return refused(NOT_OURS);
    }
  }

  private async byJwt(token: string): Promise<Authentication> {
    if (this.jwt === null) return refused(NOT_OURS);
    const verdict = await this.jwt.verify(token);
    switch (verdict.type) {
      case 'valid':
        return { type: 'principal', principal: verdict.principal };
      case 'expired':
        return refused('holds a JWT that has expired');
      case 'invalid':
        return refused(`holds a JWT that is not accepted: ${verdict.problem}`);
      case 'unavailable':
        return verdict;
    }
  }
}

const NOT_OURS = 'holds no credential of this server';

function refused(problem: string): Authentication {
  return { type: 'refused', problem };
}

/** What an `Authorization` of the scheme Bearer holds; null for another one. */
export function bearer(authorization: string | undefined): string | null {
  return BEARER.exec(authorization ?? '')?.groups?.['credential'] ?? null;
}
