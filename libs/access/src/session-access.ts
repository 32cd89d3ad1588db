import type { IncomingHttpHeaders } from 'node:http';
import { Injectable } from '@nestjs/common';
import { SessionTokens } from '#libs/auth';
import type { OpenSession } from '#libs/domain';
import { initialState } from '#libs/domain';
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
    requireToken(sessionId, credential, param);
    const isThere = (await this.freshness.latest(sessionId)) === 'present';
    const state = isThere ? await this.reads.state(sessionId) : initialState;
    if (state.phase !== 'open' || !mayUse(state, credential)) throw notFound(sessionId, param);
    return state;
  }
}

/** @throws SbpError SBP_FORBIDDEN where a token is sent of another session than the one named */
export function requireToken(sessionId: string, { tokenSession }: Credential, param: string): void {
  if (tokenSession === null || tokenSession === sessionId) return;
  throw new SbpError(
    'SBP_FORBIDDEN',
    `X-Session-Token belongs to another session than ${param} names.`,
    { param },
  );
}

/** Whether a session belongs to whoever sends the credential. */
export function mayUse(session: OpenSession, { tokenSession, principal }: Credential): boolean {
  return tokenSession !== null || session.principal === principal;
}

export function turnNotFound(turnId: string): SbpError {
  const message = `The session has no turn with ID ${turnId}.`;
  return new SbpError('SBP_SESSION_NOT_FOUND', message, { param: 'turn_id' });
}

export function notFound(sessionId: string, param: string): SbpError {
  return new SbpError('SBP_SESSION_NOT_FOUND', `No session with ID ${sessionId}.`, { param });
}
