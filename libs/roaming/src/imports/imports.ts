import { SessionTokens } from '#libs/auth';
import type { OpenSession } from '#libs/domain';
import { initialState } from '#libs/domain';
import type { ImportResponse, LogEventOf, RoamingClaims } from '#libs/protocol';
import { SbpError } from '#libs/protocol';
import { SessionLog } from '#libs/session-log';
import type { ExportRecord } from '#libs/store';
import { ExportReads, Lineage, ProcessIdentity, Promises, SessionReads } from '#libs/store';
import { Injectable } from '@nestjs/common';
import type { BundleStream } from '../bundle/bundle.js';
import { summaryOf } from '../bundle/bundle.js';
import { Bundles } from '../bundle/bundles.js';
import { mustBeUsable, wasConsumed } from '../exports/exports.js';
import { mustBeSameBody } from '../opening/derived-ids.js';
import { copyOf, importDerivation } from '../opening/import-derivation.js';
import { PromiseKeeper } from '../opening/promise-keeper.js';
import { SessionOpener } from '../opening/session-opener.js';
import type { RemoteOrder } from '../servers/remote-imports.js';
import { RemoteImports } from '../servers/remote-imports.js';
import type { ImportOrder } from './import-order.js';
import type { FoundExport } from './roaming-token.js';

/** An export of this server that is imported. */
interface LocalOrder extends ImportOrder {
  readonly record: ExportRecord;
  readonly claims: RoamingClaims;
}

/**
 * Imports exports, of this server or another. One event in the log of the source uses the export
 * and names the new session; the first one counts [A17]. Then the session is opened, by this
 * process or another.
 */
@Injectable()
export class Imports {
  constructor(
    private readonly sessionLog: SessionLog,
    private readonly exports: ExportReads,
    private readonly reads: SessionReads,
    private readonly lineage: Lineage,
    private readonly promises: Promises,
    private readonly keeper: PromiseKeeper,
    private readonly opener: SessionOpener,
    private readonly bundles: Bundles,
    private readonly remote: RemoteImports,
    private readonly identity: ProcessIdentity,
    private readonly tokens: SessionTokens,
  ) {}

  /**
   * @throws SbpError SBP_TOKEN_CONSUMED; SBP_TOKEN_INTEGRITY; SBP_INVALID_REQUEST where its
   *   `Idempotency-Key` was used for another request; what another server says
   */
  async import(found: FoundExport, order: ImportOrder): Promise<ImportResponse> {
    const known = await this.known(order);
    const session = known ?? (await this.importAnew(found, order));
    return this.answer(order.target.sessionId, session);
  }

  /** What an earlier request with the same key has come to; null where it has not. */
  private async known({ target }: ImportOrder): Promise<OpenSession | null> {
    const { sessionId, bodyHash } = target;
    if (bodyHash === null) return null;
    const promise = await this.promises.find(sessionId);
    if (promise !== null) {
      mustBeSameBody(bodyHash, promise.data.body_hash);
      return this.keeper.keep(promise);
    }
    const derived = await this.lineage.of(sessionId);
    if (derived === null) return null;
    mustBeSameBody(bodyHash, derived.origin.body_hash);
    const session = await this.reads.state(sessionId);
    return session.phase === 'open' ? session : null;
  }

  private importAnew(found: FoundExport, order: ImportOrder): Promise<OpenSession> {
    const { claims } = found;
    return found.type === 'local'
      ? this.importLocal({ ...order, record: found.record, claims })
      : this.importRemote({ ...order, claims, token: found.token });
  }

  private async importRemote(order: RemoteOrder): Promise<OpenSession> {
    if (order.request.allow_reuse) return this.remote.reuse(order);
    return this.keeper.keep(await this.remote.begin(order));
  }

  private async importLocal(order: LocalOrder): Promise<OpenSession> {
    mustBeUsable(order.record);
    const bundle = await this.verified(order);
    return order.request.allow_reuse ? this.copy(order, bundle) : this.consume(order);
  }

  /** The bundle, which is what the token says. */
  private async verified({ claims, record }: LocalOrder): Promise<BundleStream> {
    const bundle = await this.bundles.ofExport(record);
    const { cid } = await summaryOf(bundle);
    if (cid === claims.cid && cid === record.bundleCid) return bundle;
    throw new SbpError('SBP_TOKEN_INTEGRITY', 'The bundle is not the one that was exported.');
  }

  private async consume(order: LocalOrder): Promise<OpenSession> {
    const { target, record, principal, by } = order;
    const { sessionId: successor, bodyHash: body_hash } = target;
    const { exportId, sessionId } = record;
    const agentId = await this.agentOf(order);
    const consumed: LogEventOf<'export.consumed'>['data'] = {
      ...{ export_id: exportId, import_id: successor, successor, agent_id: agentId },
      ...{ opened_epoch: await this.promises.nextEpoch(principal, agentId), principal },
      ...{ body_hash, server: null, maker: this.identity.address },
    };
    const executed = await this.sessionLog.executeAndFold({
      ...{ sessionId, state: initialState, by },
      command: { type: 'ConsumeExport', consumed },
    });
    if (executed.type !== 'folded') throw notSaid();
    const { fate } = (await this.exports.one(exportId)) ?? record;
    if (fate.type !== 'consumed' || fate.importId !== successor) throw wasConsumed();
    const promise = await this.promises.find(successor);
    if (promise === null) throw new Error(`import ${successor} is not promised`);
    return this.keeper.keep(promise);
  }

  /** A copy beside others, which leaves the export as it is. */
  private async copy(order: LocalOrder, bundle: BundleStream): Promise<OpenSession> {
    const { target, record, principal, by } = order;
    const { sessionId, bodyHash } = target;
    const agentId = await this.agentOf(order);
    return this.opener.open(
      importDerivation({
        ...{ sessionId, epoch: await this.promises.nextEpoch(principal, agentId) },
        ...{ principal, agentId, bodyHash, server: null, exportId: record.exportId },
        ...{ sourceId: record.sessionId, messages: record.messageCount },
        ...{ beginning: copyOf(bundle), head: bundle, by },
      }),
    );
  }

  private async agentOf({ request, record }: LocalOrder): Promise<string> {
    if (request.target_agent_id != null) return request.target_agent_id;
    return (await this.reads.open(record.sessionId)).agentId;
  }

  private async answer(sessionId: string, session: OpenSession): Promise<ImportResponse> {
    const derived = await this.lineage.of(sessionId);
    const exportId = derived?.origin.export_id ?? null;
    if (derived === null || exportId === null) throw new Error(`${sessionId} is no import`);
    const { token } = await this.tokens.issue(sessionId, session.tokenGeneration);
    const { origin, label, steps } = derived;
    const messages = origin.message_count ?? derived.messages;
    return {
      session_id: sessionId,
      new_session_id: sessionId,
      session_token: token,
      agent_id: session.agentId,
      step_count: steps,
      message_count: messages,
      messages_restored: messages,
      origin_export_id: exportId,
      provenance: {
        session_id: origin.session_id,
        agent_id: origin.agent_id,
        export_id: exportId,
        server: origin.server,
        label,
      },
    };
  }
}

function notSaid(): SbpError {
  return new SbpError(
    'SBP_UPSTREAM_UNAVAILABLE',
    'It cannot be said yet whether this import has won. Look at the token, or ask again with the ' +
      'same Idempotency-Key.',
    { retryAfter: 1 },
  );
}
