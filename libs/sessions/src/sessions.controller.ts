import { Controller, Get, Param, Query, Req } from '@nestjs/common';
import type { FastifyRequest } from 'fastify';
import { SessionAccess, turnNotFound } from '#libs/access';
import { callsOf } from '#libs/domain';
import type {
  MessagesResponse,
  SessionResponse,
  TurnResponse,
  TurnsResponse,
} from '#libs/protocol';
import { MessagesQuery, TurnsQuery, parseQuery, requireUuid } from '#libs/protocol';
import type { TurnSummary } from '#libs/store';
import { SessionList, SessionReads, ToolReads, Transcripts, hasEnded } from '#libs/store';
import { operatorResponse, sessionResponse } from './session-response.js';

/** `GET /v1/sbp/sessions/{id}`, its messages and its turns. */
@Controller('v1/sbp/sessions/:session_id')
export class SessionsController {
  constructor(
    private readonly access: SessionAccess,
    private readonly transcripts: Transcripts,
    private readonly reads: SessionReads,
    private readonly tools: ToolReads,
    private readonly list: SessionList,
  ) {}

  @Get()
  async session(
    @Param('session_id') id: string,
    @Req() request: FastifyRequest,
  ): Promise<SessionResponse> {
    const sessionId = requireUuid(id, 'session_id');
    const viewer = await this.access.viewer(request.headers);
    const session = await this.access.viewed(sessionId, viewer);
    return viewer.type === 'operator'
      ? operatorResponse(sessionId, session)
      : sessionResponse(sessionId, session, await this.list.labelOf(sessionId));
  }

  @Get('messages')
  async messages(
    @Param('session_id') id: string,
    @Query() query: unknown,
    @Req() request: FastifyRequest,
  ): Promise<MessagesResponse> {
    const sessionId = requireUuid(id, 'session_id');
    const { after, limit } = parseQuery(query, MessagesQuery);
    const session = await this.access.session(sessionId, request.headers);
    const first = after === undefined ? 0 : after + 1;
    const page = await this.transcripts.page(sessionId, session, first, limit);
    const last = page.at(-1)?.index ?? null;
    return {
      session_id: sessionId,
      messages: page.map(({ message, index, modelUsed, costUsd, createdAt, turnId }) => ({
        ...message,
        index,
        model_used: modelUsed,
        cost_usd: costUsd,
        created_at: createdAt,
        turn_id: turnId,
      })),
      next_cursor: last !== null && last + 1 < session.messages ? last : null,
    };
  }

  @Get('turns')
  async turns(
    @Param('session_id') id: string,
    @Query() query: unknown,
    @Req() request: FastifyRequest,
  ): Promise<TurnsResponse> {
    const sessionId = requireUuid(id, 'session_id');
    const { after, limit } = parseQuery(query, TurnsQuery);
    const session = await this.access.session(sessionId, request.headers);
    const turns = await this.reads.turns(sessionId, after, limit);
    const last = turns.at(-1)?.number ?? after;
    const isLast = last >= session.turns;
    // Those that wait are at most a hundred.
    const waiting = isLast ? await this.reads.queue(sessionId) : [];
    return {
      session_id: sessionId,
      turns: [...turns, ...waiting].map(turnOf),
      next_cursor: isLast ? null : last,
    };
  }

  @Get('turns/:turn_id')
  async turn(
    @Param('session_id') id: string,
    @Param('turn_id') turn: string,
    @Req() request: FastifyRequest,
  ): Promise<TurnResponse> {
    const sessionId = requireUuid(id, 'session_id');
    const turnId = requireUuid(turn, 'turn_id');
    const session = await this.access.session(sessionId, request.headers);
    const found = await this.reads.turn(sessionId, turnId);
    if (found === null) throw turnNotFound(turnId);
    const content = found.status === 'completed' ? found.text : null;
    const open = hasEnded(found.status) ? [] : callsOf(session, turnId);
    const pending = await this.tools.pending(sessionId, open);
    return { ...turnOf(found), content, error: found.error, pending_calls: [...pending] };
  }
}

function turnOf(turn: TurnSummary): TurnsResponse['turns'][number] {
  return {
    turn_id: turn.turnId,
    number: turn.status === 'queued' ? null : turn.number,
    status: turn.status === 'open' ? 'running' : turn.status,
    model_used: turn.modelUsed,
    usage: turn.usage,
    cost_usd: turn.costUsd,
    snapshot_id: turn.snapshotId,
    created_at: turn.startedAt,
    ended_at: turn.endedAt,
  };
}
