import { initialState } from '#libs/domain';
import type { Actor, ConsumeRequest, ConsumeResponse } from '#libs/protocol';
import { SbpError } from '#libs/protocol';
import { SessionLog } from '#libs/session-log';
import type { ExportRecord } from '#libs/store';
import { ExportReads, SessionReads } from '#libs/store';
import { Injectable } from '@nestjs/common';
import { mustBeUsable, wasConsumed } from '../exports/exports.js';

/** Uses exports of this server for imports at others: one event, the first one counts [A17]. */
@Injectable()
export class Consumption {
  constructor(
    private readonly sessionLog: SessionLog,
    private readonly exports: ExportReads,
    private readonly reads: SessionReads,
  ) {}

  /** @throws SbpError SBP_TOKEN_CONSUMED where another import was first; SBP_TOKEN_EXPIRED */
  async consume(
    record: ExportRecord,
    { import_id: importId, server }: ConsumeRequest,
    by: Actor,
  ): Promise<ConsumeResponse> {
    const { exportId, sessionId, fate } = record;
    if (fate.type === 'consumed' && fate.importId === importId) return said(record, fate.at);
    mustBeUsable(record);
    if (Date.parse(record.expiresAt) <= Date.now()) {
      throw new SbpError('SBP_TOKEN_EXPIRED', `The export has expired at ${record.expiresAt}.`);
    }
    const source = await this.reads.state(sessionId);
    const agentId = source.phase === 'open' ? source.agentId : '';
    const consumed = {
      ...{ export_id: exportId, import_id: importId, successor: importId, opened_epoch: 1 },
      ...{ agent_id: agentId, body_hash: null, principal: '', server: server ?? '', maker: null },
    };
    const executed = await this.sessionLog.executeAndFold({
      ...{ sessionId, state: initialState, by },
      command: { type: 'ConsumeExport', consumed },
    });
    const then = executed.type === 'folded' ? await this.exports.one(exportId) : null;
    if (then === null) {
      const message = 'It cannot be said yet whether the export is used. Ask again.';
      throw new SbpError('SBP_UPSTREAM_UNAVAILABLE', message, { retryAfter: 1 });
    }
    if (then.fate.type !== 'consumed' || then.fate.importId !== importId) throw wasConsumed();
    return said(then, then.fate.at);
  }
}

function said({ exportId }: ExportRecord, consumedAt: string): ConsumeResponse {
  return { export_id: exportId, consumed_at: consumedAt };
}
