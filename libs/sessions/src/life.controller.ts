import { SessionAccess } from '#libs/access';
import { SessionTokens } from '#libs/auth';
import type { LifeChange, OpenSession } from '#libs/domain';
import { stepTo } from '#libs/domain';
import type { Actor, SessionResponse, TokenResponse } from '#libs/protocol';
import { SbpError, StatusRequest, TokenRequest, parseJsonBody, requireUuid } from '#libs/protocol';
import { Maintenance, SessionLog } from '#libs/session-log';
import { SessionList, SessionReads } from '#libs/store';
import { Body, Controller, HttpCode, Param, Patch, Post, Req } from '@nestjs/common';
import type { FastifyRequest } from 'fastify';
import { sessionResponse } from './session-response.js';

/** `PATCH /v1/sbp/sessions/{id}/status` and `POST /v1/sbp/sessions/{id}/token`. */
@Controller('v1/sbp/sessions/:session_id')
export class LifeController {
  constructor(
    private readonly access: SessionAccess,
    private readonly maintenance: Maintenance,
    private readonly sessionLog: SessionLog,
    private readonly reads: SessionReads,
    private readonly list: SessionList,
    private readonly tokens: SessionTokens,
  ) {}

  /** Answers what the session is then. */
  @Patch('status')
  async status(
    @Param('session_id') id: string,
    @Body() body: Buffer | undefined,
    @Req() request: FastifyRequest,
  ): Promise<SessionResponse> {
    const sessionId = requireUuid(id, 'session_id');
    const { status: to } = parseJsonBody(body, StatusRequest);
    const { session, by } = await this.access.use(sessionId, request.headers);
    const label = await this.list.labelOf(sessionId);
    if (!mustChange(session, to)) return sessionResponse(sessionId, session, label);
    const changed = await this.maintenance.perform({
      sessionId,
      by,
      command: ({ epoch, state }) =>
        mustChange(state, to) ? { type: 'ChangeLife', epoch, to } : null,
      isDone: (state) => stepTo(state, to) === 'none',
    });
    return sessionResponse(sessionId, changed, label);
  }

  @Post('token')
  @HttpCode(201)
  async token(
    @Param('session_id') id: string,
    @Body() body: Buffer | undefined,
    @Req() request: FastifyRequest,
  ): Promise<TokenResponse> {
    const sessionId = requireUuid(id, 'session_id');
    const { revoke } = parseJsonBody(body, TokenRequest);
    const { session, by } = await this.access.use(sessionId, request.headers);
    const generation = revoke ? await this.revoke(sessionId, session, by) : session.tokenGeneration;
    const { token, expiresAt } = await this.tokens.issue(sessionId, generation);
    return { session_token: token, expires_at: expiresAt.toISOString() };
  }

  /** The generation of the tokens that count from now on. */
  private async revoke(sessionId: string, session: OpenSession, by: Actor): Promise<number> {
    const executed = await this.sessionLog.executeAndFold({
      sessionId,
      state: session,
      by,
      command: { type: 'RevokeTokens', generation: session.tokenGeneration + 1 },
    });
    const state = executed.type === 'folded' ? await this.reads.state(sessionId) : null;
    if (state?.phase === 'open') return state.tokenGeneration;
    throw new SbpError(
      'SBP_UPSTREAM_UNAVAILABLE',
      'It cannot be said yet whether the tokens are revoked. Ask again.',
      { retryAfter: 1 },
    );
  }
}

/** @throws SbpError SBP_SESSION_CONFLICT where it never can */
function mustChange(session: OpenSession, to: LifeChange): boolean {
  const step = stepTo(session, to);
  if (step !== 'impossible') return step === 'change';
  throw new SbpError(
    'SBP_SESSION_CONFLICT',
    `status: the session has finished as ${session.life.type}, so it cannot become ${to}.`,
    { param: 'status' },
  );
}
