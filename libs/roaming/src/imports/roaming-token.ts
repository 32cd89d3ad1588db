import { RoamingTokens } from '#libs/auth';
import type { RoamingClaims } from '#libs/protocol';
import { SbpError } from '#libs/protocol';
import type { ExportRecord } from '#libs/store';
import { ExportReads, Freshness } from '#libs/store';
import { Injectable } from '@nestjs/common';
import { RoamingOptions } from '../roaming-options.js';
import { ServerClient } from '../servers/server-client.js';

/** An export of this server that a roaming token refers to. */
export interface TokenExport {
  readonly claims: RoamingClaims;
  readonly record: ExportRecord;
}

/** What a valid token refers to. */
export type FoundExport =
  | ({ readonly type: 'local' } & TokenExport)
  /** An export of the server that the token names. */
  | { readonly type: 'remote'; readonly claims: RoamingClaims; readonly token: string };

/** Checks roaming tokens, and finds the exports that they refer to. */
@Injectable()
export class TokenExports {
  constructor(
    private readonly tokens: RoamingTokens,
    private readonly freshness: Freshness,
    private readonly exports: ExportReads,
    private readonly servers: ServerClient,
    private readonly options: RoamingOptions,
  ) {}

  /**
   * The export of a valid token, as of everything acknowledged [A5].
   * @throws SbpError SBP_TOKEN_INVALID; SBP_TOKEN_EXPIRED; SBP_UPSTREAM_UNAVAILABLE where the keys
   *   of another server cannot be had
   */
  async of(token: string): Promise<FoundExport> {
    const verdict = await this.tokens.verify(token);
    if (verdict.type === 'invalid') throw invalid('is neither of this server nor of a trusted one');
    const { claims, signer } = verdict;
    if (verdict.type === 'expired') throw expired(claims);
    if (signer === 'issuer') return { type: 'remote', claims, token };
    const record = await this.record(claims);
    if (record !== null) return { type: 'local', claims, record };
    // The secret is shared with other servers.
    const isElsewhere = signer === 'secret' && claims.iss !== this.options.publicUrl();
    if (isElsewhere && this.servers.trusts(claims.iss)) return { type: 'remote', claims, token };
    throw invalid(
      isElsewhere
        ? `its export is on ${claims.iss}, which is not among SBP_TRUSTED_ISSUERS`
        : 'its export is not known here',
    );
  }

  /** As `of`, for what another server asks about an export of this one. */
  async local(token: string, wanted: 'valid' | 'perhaps expired'): Promise<TokenExport> {
    const verdict = await this.tokens.verify(token);
    if (verdict.type === 'invalid' || verdict.signer === 'issuer') {
      throw invalid('is not one of this server');
    }
    const { claims } = verdict;
    if (verdict.type === 'expired' && wanted === 'valid') throw expired(claims);
    const record = await this.record(claims);
    if (record === null) throw invalid('its export is not known here');
    return { claims, record };
  }

  private async record({ sid, sub }: RoamingClaims): Promise<ExportRecord | null> {
    await this.freshness.latest(sid);
    const record = await this.exports.one(sub);
    return record?.sessionId === sid ? record : null;
  }
}

function invalid(problem: string): SbpError {
  return new SbpError('SBP_TOKEN_INVALID', `roaming_token: ${problem}.`, {
    param: 'roaming_token',
  });
}

function expired({ exp }: RoamingClaims): SbpError {
  const at = new Date(exp * 1000).toISOString();
  return new SbpError('SBP_TOKEN_EXPIRED', `roaming_token: has expired at ${at}.`, {
    param: 'roaming_token',
  });
}
