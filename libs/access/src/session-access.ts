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
  /** Of that token; 0 without one. */
  readonly tokenGeneration: number;
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
      return { principal: ANONYMOUS_PRINCIPAL, tokenSession: null, tokenGeneration: 0 };
    const verdict = await this.tokens.verify(token);
    if (verdict.type === 'valid') {
      const { sessionId: tokenSession, generation: tokenGeneration } = verdict;
      return { principal: ANONYMOUS_PRINCIPAL, tokenSession, tokenGeneration };
    }
    const problem = verdict.type === 'expired' ? 'has expired' : 'is not one of this server';
    throw unauthorized(problem);
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
    if (state.phase !== 'open') throw notFound(sessionId, param);
    mustMayUse(sessionId, state, credential, param);
    return state;
  }

  /** The session of a path that a request may use. @throws as `authenticate` and `authorise` */
  async session(sessionId: string, headers: IncomingHttpHeaders): Promise<OpenSession> {
    return this.authorise(sessionId, await this.authenticate(headers), 'session_id');
  }

  /** Who asks for what belongs to no session. @throws SbpError also SBP_FORBIDDEN for a token */
  async principal(headers: IncomingHttpHeaders): Promise<string> {
    const { principal, tokenSession } = await this.authenticate(headers);
    if (tokenSession === null) return principal;
    throw new SbpError(
      'SBP_FORBIDDEN',
      'X-Session-Token permits what belongs to its session, and nothing else. Leave it out.',
      { param: 'X-Session-Token' },
    );
  }

  /** Who asks for what only an operator may see: metrics, the audit trail, usage of everybody. */
  async operator(headers: IncomingHttpHeaders): Promise<string> {
    return this.principal(headers);
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

/**
 * Whether a session belongs to whoever sends the credential; a token of another session was refused
 * before.
 * @throws SbpError SBP_UNAUTHORIZED for a token that was revoked; SBP_SESSION_NOT_FOUND for another
 *   principal's session
 */
export function mustMayUse(
  sessionId: string,
  session: OpenSession,
  { tokenSession, tokenGeneration, principal }: Credential,
  param: string,
): void {
  if (tokenSession === null && session.principal !== principal) throw notFound(sessionId, param);
  if (tokenSession !== null && tokenGeneration < session.tokenGeneration) {
    throw unauthorized('was revoked');
  }
}

function unauthorized(problem: string): SbpError {
  return new SbpError(
    'SBP_UNAUTHORIZED',
    `X-Session-Token ${problem}. Use the one of the session's last answer.`,
    { param: 'X-Session-Token' },
  );
}

export function turnNotFound(turnId: string): SbpError {
  const message = `The session has no turn with ID ${turnId}.`;
  return new SbpError('SBP_SESSION_NOT_FOUND', message, { param: 'turn_id' });
}

export function notFound(sessionId: string, param: string): SbpError {
  return new SbpError('SBP_SESSION_NOT_FOUND', `No session with ID ${sessionId}.`, { param });
}
