import { SessionAccess } from '#libs/access';
import type { SessionsResponse } from '#libs/protocol';
import { SbpError, SessionsQuery, parseQuery } from '#libs/protocol';
import type { SessionPlace } from '#libs/store';
import { Freshness, SessionList } from '#libs/store';
import { Controller, Get, Query, Req } from '@nestjs/common';
import type { FastifyRequest } from 'fastify';
import { sessionResponse } from './session-response.js';

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
    const { agent_id, status, since, label, cursor, limit } = parseQuery(query, SessionsQuery);
    const principal = await this.access.principal(request.headers);
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
        sessionResponse(sessionId, session, label),
      ),
      next_cursor: found.length > limit ? (page.at(-1)?.sessionId ?? null) : null,
    };
  }

  /** @throws SbpError SBP_INVALID_REQUEST */
  private async place(cursor: string, principal: string): Promise<SessionPlace> {
    const place = await this.list.placeOf(cursor, principal);
    if (place !== null) return place;
    const message = 'cursor: is not the next_cursor of a page. Begin without one.';
    throw new SbpError('SBP_INVALID_REQUEST', message, { param: 'cursor' });
  }
}
