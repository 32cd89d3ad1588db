import { SessionAccess } from '#libs/access';
import type { LineageResponse } from '#libs/protocol';
import { requireUuid } from '#libs/protocol';
import type { DerivedSession, PromisedSession } from '#libs/store';
import { ExportReads, Lineage, Promises } from '#libs/store';
import { Controller, Get, Param, Req } from '@nestjs/common';
import type { FastifyRequest } from 'fastify';
import { listed } from '../exports/exports.js';

/** The most entries of each kind. */
const MOST = 1_000;

/** `GET /v1/sbp/sessions/{id}/lineage`: where a session comes from, and what was made from it. */
@Controller('v1/sbp/sessions/:session_id/lineage')
export class LineageController {
  constructor(
    private readonly access: SessionAccess,
    private readonly exports: ExportReads,
    private readonly lineage: Lineage,
    private readonly promises: Promises,
  ) {}

  @Get()
  async of(
    @Param('session_id') id: string,
    @Req() request: FastifyRequest,
  ): Promise<LineageResponse> {
    const sessionId = requireUuid(id, 'session_id');
    await this.access.session(sessionId, request.headers);
    const [exports, promised, derived, origin] = await Promise.all([
      this.exports.list(sessionId, null, MOST),
      this.promises.by(sessionId, MOST),
      this.lineage.from(sessionId, MOST),
      this.lineage.of(sessionId),
    ]);
    return {
      session_id: sessionId,
      exports: exports.map(listed),
      outgoing_handoffs: promised.flatMap(outgoing),
      incoming_handoffs: origin === null ? [] : incoming(origin),
      forks: derived.flatMap(forked),
      origin: origin === null ? null : originOf(origin),
    };
  }
}

function outgoing(promise: PromisedSession): LineageResponse['outgoing_handoffs'] {
  if (promise.type !== 'handoff') return [];
  const { sessionId, data, content, createdAt } = promise;
  return [
    {
      new_session_id: sessionId,
      agent_id: data.agent_id,
      export_id: data.export_id,
      handoff_message: content.message,
      reason: content.reason,
      created_at: createdAt,
    },
  ];
}

function incoming({ origin, createdAt }: DerivedSession): LineageResponse['incoming_handoffs'] {
  if (origin.type !== 'handoff') return [];
  const { session_id: from_session_id, agent_id, export_id } = origin;
  return [{ from_session_id, agent_id, export_id, created_at: createdAt }];
}

function forked(derived: DerivedSession): LineageResponse['forks'] {
  if (derived.origin.type !== 'fork') return [];
  const { sessionId, label, steps, messages, createdAt } = derived;
  return [
    {
      fork_session_id: sessionId,
      fork_label: label,
      fork_point_step: steps,
      fork_point_msg: messages,
      created_at: createdAt,
    },
  ];
}

function originOf({ origin, createdAt }: DerivedSession): LineageResponse['origin'] {
  const { type, session_id, agent_id, export_id, server } = origin;
  return { type, session_id, agent_id, export_id, server, created_at: createdAt };
}
