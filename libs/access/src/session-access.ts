import type { IncomingHttpHeaders } from 'node:http';
import { Injectable } from '@nestjs/common';
import { SessionTokens } from '#libs/auth';
import type { OpenSession } from '#libs/domain';
import { ANONYMOUS_PRINCIPAL, HEADERS, SbpError } from '#libs/protocol';
import { Freshness, SessionReads } from '#libs/store';

/** Who sends a request. */
export interface Credential {
  readonly principal: string;
  /**
   * The session of a valid `X-Session-Token`: it permits everything on that session and nothing
   * else.
   */
  readonly tokenSession: string | null;
}

/** Who may do what with which session. */
@Injectable()
export class SessionAccess {
  constructor(
    private readonly tokens: SessionTokens,
    private readonly freshness: Freshness,
    private readonly reads: SessionReads,
  ) {}

  /** @throws SbpError SBP_UNAUTHORIZED for a token that is forged, damaged or expired */
  async authenticate(headers: IncomingHttpHeaders): Promise<Credential> {
    const header = headers[HEADERS.sessionToken];
    const token = typeof header === 'string' ? header : header?.[0];
    if (token === undefined || token === '')
      return { principal: ANONYMOUS_PRINCIPAL, tokenSession: null };
    const verdict = await this.tokens.verify(token);
    if (verdict.type === 'valid')
      return { principal: ANONYMOUS_PRINCIPAL, tokenSession: verdict.sessionId };
    const problem = verdict.type === 'expired' ? 'has expired' : 'is not one of this server';
    throw new SbpError(
      'SBP_UNAUTHORIZED',
      `X-Session-Token ${problem}. Use the one of the session's last answer.`,
      {
        param: 'X-Session-Token',
      },
    );
  }

  /**
   * The session as of everything acknowledged [A5], if the credential may use it: a token its own,
   * a principal all its own. `param` names where the request gives the id.
   * @throws SbpError SBP_FORBIDDEN for another session's token; SBP_SESSION_NOT_FOUND, also for
   *   another principal's session
   */
  async authorise(sessionId: string, credential: Credential, param: string): Promise<OpenSession> {
    if (credential.tokenSession !== null && credential.tokenSession !== sessionId) {
      throw new SbpError(
        'SBP_FORBIDDEN',
        `X-Session-Token belongs to another session than ${param} names.`,
        { param },
      );
    }
    const missing = new SbpError('SBP_SESSION_NOT_FOUND', `No session with ID ${sessionId}.`, {
      param,
    });
    if ((await this.freshness.settle(sessionId)) === 'absent') throw missing;
    const state = await this.reads.state(sessionId);
    if (state.phase !== 'open') throw missing;
    if (credential.tokenSession === null && state.principal !== credential.principal) throw missing;
    return state;
  }
}
