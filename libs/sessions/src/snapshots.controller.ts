import { SessionAccess } from '#libs/access';
import { textsOf } from '#libs/domain';
import type { Message, SnapshotResponse, SnapshotsResponse } from '#libs/protocol';
import { SbpError, SnapshotsQuery, parseQuery, requireUuid } from '#libs/protocol';
import type { SnapshotPlace } from '#libs/store';
import { Snapshots } from '#libs/store';
import { Controller, Get, Param, Query, Req } from '@nestjs/common';
import type { FastifyRequest } from 'fastify';

/** `GET /v1/sbp/sessions/{id}/snapshots`, and one of them. */
@Controller('v1/sbp/sessions/:session_id/snapshots')
export class SnapshotsController {
  constructor(
    private readonly access: SessionAccess,
    private readonly snapshots: Snapshots,
  ) {}

  @Get()
  async list(
    @Param('session_id') id: string,
    @Query() query: unknown,
    @Req() request: FastifyRequest,
  ): Promise<SnapshotsResponse> {
    const sessionId = requireUuid(id, 'session_id');
    const { after, limit } = parseQuery(query, SnapshotsQuery);
    await this.access.session(sessionId, request.headers);
    const from = after === undefined ? null : await this.find(sessionId, after);
    // One more shows whether there are more.
    const found = await this.snapshots.list(sessionId, from, limit + 1);
    const page = found.slice(0, limit);
    return {
      session_id: sessionId,
      snapshots: page.map(placeOf),
      next_cursor: found.length > limit ? (page.at(-1)?.snapshotId ?? null) : null,
    };
  }

  @Get(':snapshot_id')
  async one(
    @Param('session_id') id: string,
    @Param('snapshot_id') snapshot: string,
    @Req() request: FastifyRequest,
  ): Promise<SnapshotResponse> {
    const sessionId = requireUuid(id, 'session_id');
    const snapshotId = requireUuid(snapshot, 'snapshot_id');
    await this.access.session(sessionId, request.headers);
    const place = await this.find(sessionId, snapshotId);
    const { entries, steps } = await this.snapshots.at(sessionId, place);
    return {
      session_id: sessionId,
      ...placeOf(place),
      current_task: taskOf(entries.map(({ message }) => message)),
      step_count: steps,
      messages: entries.map(({ message, index, turnId, createdAt }) => {
        return { ...message, index, turn_id: turnId, created_at: createdAt };
      }),
    };
  }

  private async find(sessionId: string, snapshotId: string): Promise<SnapshotPlace> {
    const place = await this.snapshots.place(sessionId, snapshotId);
    if (place !== null) return place;
    const message = `The session has no snapshot with ID ${snapshotId}.`;
    throw new SbpError('SBP_SESSION_NOT_FOUND', message, { param: 'snapshot_id' });
  }
}

function placeOf(place: SnapshotPlace): SnapshotsResponse['snapshots'][number] {
  const { snapshotId, kind, turnId, model, createdAt } = place;
  return { snapshot_id: snapshotId, kind, turn_id: turnId, model, created_at: createdAt };
}

function taskOf(messages: readonly Message[]): string | null {
  const last = messages.findLast(({ role }) => role === 'user');
  return last === undefined ? null : textsOf(last.content).join('');
}
