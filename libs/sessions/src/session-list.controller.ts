import type { Viewer } from '#libs/access';
import { SessionAccess, ownPrincipal } from '#libs/access';
import type { SessionsResponse } from '#libs/protocol';
import { SbpError, SessionsQuery, parseQuery } from '#libs/protocol';
import type { SessionPlace } from '#libs/store';
import { Freshness, SessionList } from '#libs/store';
import { Controller, Get, Query, Req } from '@nestjs/common';
import type { FastifyRequest } from 'fastify';
import { operatorResponse, sessionResponse } from './session-response.js';

/** `GET /v1/sbp/sessions`: the principal's sessions, newest first. */
@Controller('v1/sbp/sessions')
export class SessionListController {
  constructor(
    private readonly access: SessionAccess,
    private readonly freshness: Freshness,
    private readonly list: SessionList,
  ) {}

  @Get()
  async sessions(
    @Query() query: unknown,
    @Req() request: FastifyRequest,
  ): Promise<SessionsResponse> {
    const { agent_id, status, since, label, cursor, limit, ...named } = parseQuery(
      query,
      SessionsQuery,
    );
    const viewer = await this.access.viewer(request.headers);
    const principal = this.principalOf(viewer, named.principal ?? null);
    await this.freshness.everywhere();
    const after = cursor === undefined ? null : await this.place(cursor.toLowerCase(), principal);
    const filter = {
      principal,
      agentId: agent_id ?? null,
      status: status ?? null,
      label: label ?? null,
      since: since === undefined ? null : new Date(since).toISOString(),
    };
    // One more shows whether there are more.
    const found = await this.list.page(filter, after, limit + 1);
    const page = found.slice(0, limit);
    return {
      sessions: page.map(({ sessionId, session, label }) =>
        viewer.type === 'operator'
          ? operatorResponse(sessionId, session)
          : sessionResponse(sessionId, session, label),
      ),
      next_cursor: found.length > limit ? (page.at(-1)?.sessionId ?? null) : null,
    };
  }

  /** @throws SbpError SBP_INVALID_REQUEST, SBP_FORBIDDEN */
  private principalOf(viewer: Viewer, named: string | null): string {
    if (viewer.type === 'user') {
      const own = ownPrincipal(viewer.credential);
      if (named === null || named === own) return own;
      const message = 'principal: is not you. Only operators see the sessions of others.';
      throw new SbpError('SBP_FORBIDDEN', message, { param: 'principal' });
    }
    if (named !== null) return named;
    const message = 'principal: is missing. An operator says whose sessions he wants to see.';
    throw new SbpError('SBP_INVALID_REQUEST', message, { param: 'principal' });
  }

  /** @throws SbpError SBP_INVALID_REQUEST */
  private async place(cursor: string, principal: string): Promise<SessionPlace> {
    const place = await this.list.placeOf(cursor, principal);
    if (place !== null) return place;
    const message = 'cursor: is not the next_cursor of a page. Begin without one.';
    throw new SbpError('SBP_INVALID_REQUEST', message, { param: 'cursor' });
  }
}
