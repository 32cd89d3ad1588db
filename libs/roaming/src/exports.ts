import { randomUUID } from 'node:crypto';
import { Injectable } from '@nestjs/common';
import { RoamingTokens } from '#libs/auth';
import type { OpenSession } from '#libs/domain';
import { decide } from '#libs/domain';
import { EventLog } from '#libs/event-log';
import type { ExportRequest, ExportResponse, LogEventOf } from '#libs/protocol';
import { SbpError } from '#libs/protocol';
import { Freshness, SessionReads } from '#libs/store';
import { bundleCid, makeBundle } from './bundle.js';
import { RoamingOptions } from './roaming-options.js';

/** Exports a session: one free fact in its log, and a signed token that refers to the bundle. */
@Injectable()
export class Exports {
  constructor(
    private readonly log: EventLog,
    private readonly freshness: Freshness,
    private readonly reads: SessionReads,
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
  ): Promise<ExportResponse> {
    const exportId = randomUUID();
    const label = request.label ?? null;
    const now = new Date();
    const exportedAt = now.toISOString();
    const iat = Math.floor(now.getTime() / 1000);
    const exp = iat + request.ttl_seconds;
    const expiresAt = new Date(exp * 1000).toISOString();
    // A turn in flight is not part of it: nobody knows yet what comes of it.
    const lastTurn = session.turn === null ? session.turns : session.turn.number - 1;
    const transcript = await this.reads.transcript(sessionId, lastTurn);
    const bundle = makeBundle({ sessionId, exportId, exportedAt, label }, session, transcript);
    const cid = bundleCid(bundle);
    const messageCount = bundle.metadata.message_count;
    await this.record(sessionId, session, exportedAt, {
      export_id: exportId,
      label,
      expires_at: expiresAt,
      turn_number: transcript.turnNumber,
      message_count: messageCount,
      bundle_cid: cid,
    });
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

  private async record(
    sessionId: string,
    session: OpenSession,
    at: string,
    exported: LogEventOf<'session.exported'>['data'],
  ): Promise<void> {
    const decision = decide(
      { type: 'ExportSession', sessionId, at, newId: randomUUID, exported },
      session,
    );
    if (decision.type === 'refused')
      throw new SbpError('SBP_SESSION_CONFLICT', 'The session cannot be exported now.');
    const appended = await this.log.append(decision.events);
    if (appended.type === 'rejected') throw new SbpError('SBP_PAYLOAD_TOO_LARGE', appended.detail);
    if (!(await this.freshness.reached(appended.position))) {
      throw new SbpError(
        'SBP_UPSTREAM_UNAVAILABLE',
        'The export was recorded but is not readable yet. Export again.',
        {
          retryAfter: 1,
        },
      );
    }
  }
}
