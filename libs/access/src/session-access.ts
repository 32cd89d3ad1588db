import type { IncomingHttpHeaders } from 'node:http';
import { Injectable } from '@nestjs/common';
import type { Principal, SessionTokenVerdict } from '#libs/auth';
import { Principals, SessionTokens, bearer, holderOfToken } from '#libs/auth';
import type { OpenSession } from '#libs/domain';
import { initialState } from '#libs/domain';
import type { Actor } from '#libs/protocol';
import { HEADERS, SbpError } from '#libs/protocol';
import { Freshness, SessionReads } from '#libs/store';
import { httpActor } from './http-actor.js';
import { RequestLoad } from './request-load.js';

/** Who sends a request. */
export interface Credential {
  /** As whom he is recorded; `session:` and its id for one who has nothing but its token. */
  readonly principal: string;
  /**
   * The session of a valid `X-Session-Token`: it permits everything on that session and nothing
   * else.
   */
  readonly tokenSession: string | null;
  /** Of that token; 0 without one. */
  readonly tokenGeneration: number;
  /** Whether the token is all that was sent where access is not open: no session may be opened. */
  readonly isTokenAlone: boolean;
}

/** A session that a request acts in. */
export interface UsedSession {
  readonly session: OpenSession;
  /** Whoever sent the request, who need not own the session. */
  readonly by: Actor;
}

/** Who looks at sessions: a user at his own; an operator at anybody's, but not into them. */
export type Viewer =
  { readonly type: 'user'; readonly credential: Credential } | { readonly type: 'operator' };

/** What a Bearer may be beside an API key or a JWT. */
type BearerUse = 'principal' | 'principal or session token';

interface Sent {
  readonly principal: Principal | null;
  readonly token: Extract<SessionTokenVerdict, { type: 'valid' }> | null;
}

/** Who may do what with which session. */
@Injectable()
export class SessionAccess {
  constructor(
    private readonly principals: Principals,
    private readonly load: RequestLoad,
    private readonly tokens: SessionTokens,
    private readonly freshness: Freshness,
    private readonly reads: SessionReads,
  ) {}

  /**
   * A user, or whoever has a session's token.
   * @throws SbpError SBP_UNAUTHORIZED for a credential that is forged, damaged, expired or revoked,
   *   and where there is none and access is not open; SBP_FORBIDDEN for an operator
   */
  async authenticate(
    headers: IncomingHttpHeaders,
    use: BearerUse = 'principal',
  ): Promise<Credential> {
    return credentialOf(await this.sent(headers, use));
  }

  /**
   * The session as of everything acknowledged [A5], if the credential may use it: a token its own,
   * a principal all its own. `param` names where the request gives the id.
   * @throws SbpError SBP_FORBIDDEN for another session's token; SBP_SESSION_NOT_FOUND, also for
   *   another principal's session
   */
  async authorise(sessionId: string, credential: Credential, param: string): Promise<OpenSession> {
    requireToken(sessionId, credential, param);
    const state = await this.open(sessionId, param);
    mustMayUse(sessionId, state, credential, param);
    return state;
  }

  /** The session of a path that a request may use. @throws as `authenticate` and `authorise` */
  async session(sessionId: string, headers: IncomingHttpHeaders): Promise<OpenSession> {
    return this.authorise(sessionId, await this.authenticate(headers), 'session_id');
  }

  /** As `session`, for a request that changes something there: with who is to be recorded. */
  async use(
    sessionId: string,
    headers: IncomingHttpHeaders,
    bearerUse: BearerUse = 'principal',
  ): Promise<UsedSession> {
    const credential = await this.authenticate(headers, bearerUse);
    const session = await this.authorise(sessionId, credential, 'session_id');
    return { session, by: httpActor(credential.principal) };
  }

  /** Who asks for what belongs to no session. @throws SbpError also SBP_FORBIDDEN for a token */
  async principal(headers: IncomingHttpHeaders): Promise<string> {
    return ownPrincipal(await this.authenticate(headers));
  }

  /**
   * Lets users pass to what costs money and belongs to no session; with open access, everybody. A
   * session's token that is sent along is not looked at.
   * @throws SbpError SBP_UNAUTHORIZED, SBP_FORBIDDEN
   */
  async mustBeUser(headers: IncomingHttpHeaders): Promise<void> {
    if (this.principals.isOpen) return;
    const { principal } = await this.sent(withoutToken(headers), 'principal');
    if (principal === null) throw needsCredential();
    mustNotBeOperator(principal);
  }

  /** Who asks for what only an operator may see: metrics, the audit trail, usage of everybody. */
  async operator(headers: IncomingHttpHeaders): Promise<string> {
    const { principal } = await this.sent(withoutToken(headers), 'principal');
    if (principal === null) throw needsCredential();
    if (tokenOf(headers) !== null) throw ofItsSession('Leave it out.');
    if (this.principals.isOpen || principal.role === 'operator') return principal.name;
    throw new SbpError('SBP_FORBIDDEN', 'Only operators may see this.', { param: 'Authorization' });
  }

  /** Who wants to see what sessions there are. @throws as `authenticate` */
  async viewer(headers: IncomingHttpHeaders): Promise<Viewer> {
    const sent = await this.sent(headers, 'principal');
    return sent.principal?.role === 'operator'
      ? { type: 'operator' }
      : { type: 'user', credential: credentialOf(sent) };
  }

  /** A session that somebody wants to see from outside. @throws as `authorise` */
  async viewed(sessionId: string, viewer: Viewer): Promise<OpenSession> {
    if (viewer.type === 'user') return this.authorise(sessionId, viewer.credential, 'session_id');
    return this.open(sessionId, 'session_id');
  }

  private async open(sessionId: string, param: string): Promise<OpenSession> {
    const isThere = (await this.freshness.latest(sessionId)) === 'present';
    const state = isThere ? await this.reads.state(sessionId) : initialState;
    if (state.phase !== 'open') throw notFound(sessionId, param);
    return state;
  }

  private async sent(headers: IncomingHttpHeaders, use: BearerUse): Promise<Sent> {
    const header = tokenOf(headers);
    if (use === 'principal or session token' && header === null) {
      const token = bearer(headers.authorization);
      const verdict = token === null ? null : await this.tokens.verify(token);
      // With open access a Bearer can be nothing else.
      if (verdict !== null && (this.principals.isOpen || verdict.type !== 'invalid')) {
        const { everybody: principal } = this.principals;
        return this.entered({ principal, token: validToken(verdict) });
      }
    }
    const authentication = await this.principals.authenticate(headers);
    switch (authentication.type) {
      case 'refused':
        throw unauthorized('Authorization', `${authentication.problem}. Send a valid API key.`);
      case 'unavailable':
        throw new SbpError(
          'SBP_UPSTREAM_UNAVAILABLE',
          'Authorization cannot be checked now: the key set of its issuer cannot be had.',
          { retryAfter: 5, cause: authentication.cause },
        );
      case 'none':
      case 'principal': {
        const token = header === null ? null : validToken(await this.tokens.verify(header));
        const principal = authentication.type === 'none' ? null : authentication.principal;
        return this.entered({ principal, token });
      }
    }
  }

  /** Counts the request for whoever sends it. @throws SbpError SBP_RATE_LIMITED */
  private entered(sent: Sent): Sent {
    if (!this.principals.isOpen) this.load.enter(nameOf(sent));
    return sent;
  }
}

/** As whom somebody acts. */
function nameOf({ principal, token }: Sent): string {
  return principal?.name ?? holderOfToken(token?.sessionId ?? '');
}

function tokenOf(headers: IncomingHttpHeaders): string | null {
  const header = headers[HEADERS.sessionToken];
  const token = typeof header === 'string' ? header : header?.[0];
  return token === undefined || token === '' ? null : token;
}

function withoutToken({ authorization }: IncomingHttpHeaders): IncomingHttpHeaders {
  return authorization === undefined ? {} : { authorization };
}

/** @throws SbpError SBP_UNAUTHORIZED */
function validToken(verdict: SessionTokenVerdict): Sent['token'] {
  if (verdict.type === 'valid') return verdict;
  throw badToken(verdict.type === 'expired' ? 'has expired' : 'is not one of this server');
}

/** @throws SbpError SBP_UNAUTHORIZED, SBP_FORBIDDEN */
function credentialOf({ principal, token }: Sent): Credential {
  if (principal === null && token === null) throw needsCredential();
  if (principal !== null) mustNotBeOperator(principal);
  const tokenSession = token?.sessionId ?? null;
  return {
    principal: nameOf({ principal, token }),
    tokenSession,
    tokenGeneration: token?.generation ?? 0,
    isTokenAlone: principal === null,
  };
}

/** @throws SbpError SBP_FORBIDDEN */
function mustNotBeOperator({ role }: Principal): void {
  if (role !== 'operator') return;
  const message = 'An operator looks at metrics, audit, usage and the metadata of sessions alone.';
  throw new SbpError('SBP_FORBIDDEN', message, { param: 'Authorization' });
}

/** Whose things a request is about that names no session. @throws SbpError SBP_FORBIDDEN */
export function ownPrincipal({ principal, tokenSession }: Credential): string {
  if (tokenSession === null) return principal;
  throw ofItsSession('Leave it out.');
}

/** What a token that was sent alone does not permit. @throws SbpError SBP_FORBIDDEN */
export function mustBeMoreThanToken({ isTokenAlone }: Credential): void {
  if (isTokenAlone) throw ofItsSession('Send an API key to open another one.');
}

function ofItsSession(advice: string): SbpError {
  return new SbpError(
    'SBP_FORBIDDEN',
    `X-Session-Token permits what belongs to its session, and nothing else. ${advice}`,
    { param: 'X-Session-Token' },
  );
}

function needsCredential(): SbpError {
  return unauthorized('Authorization', 'is missing. Send "Bearer" and an API key or a JWT.');
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
    throw badToken('was revoked');
  }
}

function badToken(problem: string): SbpError {
  return unauthorized('X-Session-Token', `${problem}. Use the one of the session's last answer.`);
}

function unauthorized(param: string, problem: string): SbpError {
  return new SbpError('SBP_UNAUTHORIZED', `${param} ${problem}`, { param });
}

export function turnNotFound(turnId: string): SbpError {
  const message = `The session has no turn with ID ${turnId}.`;
  return new SbpError('SBP_SESSION_NOT_FOUND', message, { param: 'turn_id' });
}

export function notFound(sessionId: string, param: string): SbpError {
  return new SbpError('SBP_SESSION_NOT_FOUND', `No session with ID ${sessionId}.`, { param });
}
