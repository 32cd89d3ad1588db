import { Controller, Get, Param, Query, Req } from '@nestjs/common';
import type { FastifyRequest } from 'fastify';
import { SessionAccess, turnNotFound } from '#libs/access';
import type { OpenSession } from '#libs/domain';
import { queuedTurns, turnText } from '#libs/domain';
import type {
  MessagesResponse,
  SessionResponse,
  TurnResponse,
  TurnsResponse,
} from '#libs/protocol';
import { MessagesQuery, TurnsQuery, parseQuery, requireUuid } from '#libs/protocol';
import type { TurnSummary } from '#libs/store';
import { SessionReads, Transcripts } from '#libs/store';

/** `GET /v1/sbp/sessions/{id}`, its messages and its turns. */
@Controller('v1/sbp/sessions/:session_id')
export class SessionsController {
  constructor(
    private readonly access: SessionAccess,
    private readonly transcripts: Transcripts,
    private readonly reads: SessionReads,
  ) {}

  @Get()
  async session(
    @Param('session_id') id: string,
    @Req() request: FastifyRequest,
  ): Promise<SessionResponse> {
    const sessionId = requireUuid(id, 'session_id');
    return sessionResponse(sessionId, await this.authorise(sessionId, request));
  }

  @Get('messages')
  async messages(
    @Param('session_id') id: string,
    @Query() query: unknown,
    @Req() request: FastifyRequest,
  ): Promise<MessagesResponse> {
    const sessionId = requireUuid(id, 'session_id');
    const { after, limit } = parseQuery(query, MessagesQuery);
    const { messages } = await this.authorise(sessionId, request);
    const first = after === undefined ? 0 : after + 1;
    const page = await this.transcripts.page(sessionId, first, limit);
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
      next_cursor: last !== null && last + 1 < messages ? last : null,
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
    const session = await this.authorise(sessionId, request);
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
    await this.authorise(sessionId, request);
    const found = await this.reads.turn(sessionId, turnId);
    if (found === null) throw turnNotFound(turnId);
    const content = found.status === 'completed' ? turnText(found.output) : null;
    return { ...turnOf(found), content, error: found.error };
  }

  private async authorise(sessionId: string, request: FastifyRequest): Promise<OpenSession> {
    return this.access.authorise(
      sessionId,
      await this.access.authenticate(request.headers),
      'session_id',
    );
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

function sessionResponse(sessionId: string, session: OpenSession): SessionResponse {
  const { surface, turn, checkpoint } = session;
  // Computed, never stored: a running session that had a surface, has none, and has no turn open.
  const gone = surface.type === 'detached' && turn === null;
  const running = turn === null && session.turns === 0 ? 'idle' : 'running';
  return {
    session_id: sessionId,
    status: gone ? 'suspended' : running,
    status_reason: gone ? 'surface_gone' : null,
    agent_id: session.agentId,
    step_count: session.steps,
    message_count: session.messages,
    turn_in_flight: turn?.turnId ?? null,
    surface:
      surface.type === 'attached'
        ? {
            surface_id: surface.attachment.context.surface_id ?? null,
            device_type: surface.attachment.context.device_type ?? 'unknown',
            attached_at: surface.attachment.attachedAt,
          }
        : null,
    queued_turns: queuedTurns(session),
    last_checkpoint: checkpoint?.at ?? null,
    snapshot_id: checkpoint?.snapshotId ?? null,
    created_at: session.createdAt,
    updated_at: session.updatedAt,
  };
}
