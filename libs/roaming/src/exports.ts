import { randomUUID } from 'node:crypto';
import { Injectable } from '@nestjs/common';
import { RoamingTokens } from '#libs/auth';
import type { OpenSession } from '#libs/domain';
import type { Actor, ExportRequest, ExportResponse } from '#libs/protocol';
import { SbpError } from '#libs/protocol';
import type { Execution } from '#libs/session-log';
import { SessionLog } from '#libs/session-log';
import { Transcripts } from '#libs/store';
import { bundleCid, makeBundle } from './bundle.js';
import { RoamingOptions } from './roaming-options.js';

/** For the log to acknowledge an export, and again for the projection to fold it, in ms. */
const RECORD_MS = 15_000;

/** Exports a session: one free event in its log, and a signed token that refers to the bundle. */
@Injectable()
export class Exports {
  constructor(
    private readonly sessionLog: SessionLog,
    private readonly transcripts: Transcripts,
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
    const lastTurn = session.turn === null ? session.turns : session.turn.number - 1;
    const transcript = await this.transcripts.asOf(sessionId, lastTurn);
    const about = { sessionId, exportId, exportedAt, label, isIdle: lastTurn === 0 };
    const bundle = makeBundle(about, session, transcript);
    const cid = bundleCid(bundle);
    const messageCount = bundle.metadata.message_count;
    await this.record({
      sessionId,
      state: session,
      by,
      command: {
        type: 'ExportSession',
        label,
        exported: {
          export_id: exportId,
          expires_at: expiresAt,
          turn_number: lastTurn,
          message_count: messageCount,
          bundle_cid: cid,
        },
      },
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

  private async record(execution: Execution): Promise<void> {
    const executed = await this.sessionLog.executeAndFold(execution, RECORD_MS);
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
          'The export may be recorded but is not readable yet. Export again.',
          { retryAfter: 1 },
        );
    }
  }
}
