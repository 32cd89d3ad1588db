import { randomUUID } from 'node:crypto';
import { Injectable } from '@nestjs/common';
import { RoamingTokens } from '#libs/auth';
import type { OpenSession } from '#libs/domain';
import type { Actor, ExportRequest, ExportResponse, ListedExport } from '#libs/protocol';
import { SbpError } from '#libs/protocol';
import type { Execution } from '#libs/session-log';
import { SessionLog } from '#libs/session-log';
import type { ExportRecord } from '#libs/store';
import { ExportReads } from '#libs/store';
import { summaryOf } from '../bundle/bundle.js';
import { Bundles } from '../bundle/bundles.js';
import { RoamingOptions } from '../roaming-options.js';

/** Exports a session: one free event in its log, and a signed token that refers to the bundle. */
@Injectable()
export class Exports {
  constructor(
    private readonly sessionLog: SessionLog,
    private readonly bundles: Bundles,
    private readonly reads: ExportReads,
    private readonly tokens: RoamingTokens,
    private readonly options: RoamingOptions,
  ) {}

  /**
   * Answers after its own projection [A5]. @throws SbpError SBP_UPSTREAM_UNAVAILABLE when that
   * takes too long
   */
  async export(
    sessionId: string,
    session: OpenSession,
    request: ExportRequest,
    by: Actor,
  ): Promise<ExportResponse> {
    const exportId = randomUUID();
    const label = request.label ?? null;
    const now = new Date();
    const exportedAt = now.toISOString();
    const iat = Math.floor(now.getTime() / 1000);
    const exp = iat + request.ttl_seconds;
    const expiresAt = new Date(exp * 1000).toISOString();
    // A turn in flight is not part of it, because nobody knows yet what comes of it.
    const turnNumber = session.turn === null ? session.turns : session.turn.number - 1;
    const about = { sessionId, exportId, exportedAt, label, turnNumber };
    const { cid, messageCount } = await summaryOf(await this.bundles.of(about));
    const command = {
      type: 'ExportSession' as const,
      label,
      exported: {
        export_id: exportId,
        exported_at: exportedAt,
        expires_at: expiresAt,
        turn_number: turnNumber,
        message_count: messageCount,
        bundle_cid: cid,
      },
    };
    await this.record({ sessionId, state: session, by, command });
    const claims = { sub: exportId, sid: sessionId, iat, exp, iss: this.options.publicUrl(), cid };
    return {
      export_id: exportId,
      roaming_token: await this.tokens.issue(claims),
      session_id: sessionId,
      expires_at: expiresAt,
      bundle_hash: cid,
      bundle_cid: cid,
      message_count: messageCount,
      label,
    };
  }

  /**
   * An export that was not used cannot be used any more; one that was revoked stays so.
   * @throws SbpError SBP_TOKEN_CONSUMED where it was used; as `export`
   */
  async revoke(
    { sessionId, exportId }: ExportRecord,
    state: OpenSession,
    by: Actor,
  ): Promise<void> {
    await this.record({ sessionId, state, by, command: { type: 'RevokeExport', exportId } });
    const { fate } = (await this.reads.one(exportId)) ?? { fate: { type: 'open' as const } };
    if (fate.type === 'consumed') throw wasConsumed();
  }

  private async record(execution: Execution): Promise<void> {
    const executed = await this.sessionLog.executeAndFold(execution);
    switch (executed.type) {
      case 'folded':
        return;
      case 'refused':
        throw new SbpError('SBP_SESSION_CONFLICT', 'The session cannot be exported now.');
      case 'rejected':
        throw new SbpError('SBP_PAYLOAD_TOO_LARGE', executed.detail);
      case 'late':
        throw new SbpError(
          'SBP_UPSTREAM_UNAVAILABLE',
          'It may be recorded but is not readable yet. Ask again.',
          { retryAfter: 1 },
        );
    }
  }
}

/** What is told of an export that was used. */
export function wasConsumed(): SbpError {
  return new SbpError('SBP_TOKEN_CONSUMED', 'The export was used: it imports once.');
}

/** @throws SbpError SBP_TOKEN_CONSUMED */
export function mustBeUsable({ fate }: ExportRecord): void {
  if (fate.type === 'consumed') throw wasConsumed();
  if (fate.type === 'revoked') {
    throw new SbpError('SBP_TOKEN_CONSUMED', `The export was revoked at ${fate.at}.`);
  }
}

/** An export as lists show it. */
export function listed(record: ExportRecord): ListedExport {
  const { fate } = record;
  const consumed = fate.type === 'consumed' ? fate : null;
  return {
    export_id: record.exportId,
    label: record.label,
    created_at: record.createdAt,
    expires_at: record.expiresAt,
    bundle_cid: record.bundleCid,
    message_count: record.messageCount,
    consumed: consumed !== null,
    consumed_at: consumed?.at ?? null,
    revoked_at: fate.type === 'revoked' ? fate.at : null,
    imported_session_id: consumed?.successor ?? null,
    imported_by: consumed?.server ?? null,
  };
}
