import { Controller, Get, Query, Req } from '@nestjs/common';
import type { FastifyRequest } from 'fastify';
import { SessionAccess } from '#libs/access';
import type { LogPosition } from '#libs/event-log';
import type { AuditResponse } from '#libs/protocol';
import { AuditQuery, parseQuery } from '#libs/protocol';
import type { AuditRecordRow } from '../tables.js';
import { TrailReads } from '../trail/trail-reads.js';

/** `GET /v1/sbp/audit`: who did what to which session from where, for operators. */
@Controller('v1/sbp/audit')
export class AuditController {
  constructor(
    private readonly access: SessionAccess,
    private readonly reads: TrailReads,
  ) {}

  @Get()
  async page(@Query() query: unknown, @Req() request: FastifyRequest): Promise<AuditResponse> {
    await this.access.operator(request.headers);
    const { session_id, principal, after, limit } = parseQuery(query, AuditQuery);
    const filter = {
      sessionId: session_id?.toLowerCase() ?? null,
      principal: principal ?? null,
      partition: null,
    };
    // One more shows whether there are more.
    const found = await this.reads.page(filter, positionOf(after), limit + 1);
    const page = found.slice(0, limit);
    const last = page.at(-1);
    return {
      records: page.map(auditRecord),
      next_after:
        last !== undefined && found.length > limit ? `${last.partition}:${last.offset}` : null,
    };
  }
}

function positionOf(after: string | undefined): LogPosition | null {
  const [partition, offset] = after?.split(':').map(Number) ?? [];
  return partition === undefined || offset === undefined ? null : { partition, offset };
}

/** A row as the outside sees it. */
export function auditRecord(row: AuditRecordRow): AuditResponse['records'][number] {
  const { principal, via, address, requestId } = row;
  return {
    partition: row.partition,
    offset: row.offset,
    event_id: row.eventId,
    type: row.type,
    session_id: row.sessionId,
    turn_id: row.turnId,
    occurred_at: row.occurredAt,
    by: { principal, via, address, request_id: requestId },
    record_hash: row.recordHash,
    chain: row.chain,
  };
}
