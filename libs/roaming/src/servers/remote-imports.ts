import type { OpenSession } from '#libs/domain';
import { initialState } from '#libs/domain';
import type { RestoredParts, RoamingClaims } from '#libs/protocol';
import { SbpError, TokenInspection } from '#libs/protocol';
import { SYSTEM, SessionLog } from '#libs/session-log';
import type { PromisedSession } from '#libs/store';
import { Freshness, ProcessIdentity, Promises } from '#libs/store';
import { within } from '#libs/timing';
import { Injectable } from '@nestjs/common';
import type { ImportOrder } from '../imports/import-order.js';
import { importDerivation } from '../opening/import-derivation.js';
import { SessionOpener } from '../opening/session-opener.js';
import { RoamingOptions } from '../roaming-options.js';
import type { FetchedBundle } from './remote-bundles.js';
import { RemoteBundles, refusalOf } from './remote-bundles.js';
import { ServerClient } from './server-client.js';

type RemotePromise = Extract<PromisedSession, { type: 'remote' }>;

/** An export of another server that is imported here. */
export interface RemoteOrder extends ImportOrder {
  readonly claims: RoamingClaims;
  readonly token: string;
}

/** How long after the token's end it is asked whether the export was used, in ms. */
const PATIENCE_MS = 24 * 60 * 60 * 1000;

/** How long whoever asked waits until it is recorded that nothing will be imported, in ms. */
const ABANDON_MS = 15_000;

/**
 * Imports exports of other servers [A17]: fetches the bundle, which uses nothing; verifies it
 * whole; copies it into the log of a session that nobody knows; records what it is to do; asks
 * the other server to use the export, which is the same again for the same import; and opens the
 * session. Each step may be done again, by another process too.
 */
@Injectable()
export class RemoteImports {
  constructor(
    private readonly bundles: RemoteBundles,
    private readonly client: ServerClient,
    private readonly opener: SessionOpener,
    private readonly sessionLog: SessionLog,
    private readonly freshness: Freshness,
    private readonly promises: Promises,
    private readonly identity: ProcessIdentity,
    private readonly options: RoamingOptions,
  ) {}

  /** @throws SbpError what the other server says, among others */
  async inspect({ iss }: RoamingClaims, token: string): Promise<TokenInspection> {
    const path = `/v1/sbp/token/${encodeURIComponent(token)}`;
    const { status, json } = await this.client.askJson(iss, { method: 'GET', path });
    const inspected = TokenInspection.safeParse(json);
    if (status === 200 && inspected.success) return inspected.data;
    throw await refusalOf(iss, status, () => Promise.resolve(json));
  }

  /** Copies an export and records what is to be done with it: whoever keeps the promise goes on. */
  async begin(order: RemoteOrder): Promise<PromisedSession> {
    const { target, principal, by } = order;
    const bundle = await this.bundles.fetch(order.claims, order.token);
    try {
      const agentId = order.request.target_agent_id ?? bundle.head.session.agent_external_id;
      const epoch = await this.promises.nextEpoch(principal, agentId);
      const { sessionId } = target;
      const restored = await this.copy(order, epoch, bundle);
      const command = this.beginning(order, bundle, { agentId, epoch, restored });
      await this.opener.append({ sessionId, by }, command).catch(async (error: unknown) => {
        // Any other may be taken yet.
        if (isRefusal(error)) await this.dropCopy(target);
        throw error;
      });
      const promise = await this.promises.find(sessionId);
      if (promise === null) throw new Error(`import ${sessionId} is not promised`);
      return promise;
    } finally {
      await bundle.letGo();
    }
  }

  /** A copy beside others, which leaves the export as it is. */
  async reuse(order: RemoteOrder): Promise<OpenSession> {
    const { target, principal, by, claims } = order;
    const bundle = await this.bundles.fetch(claims, order.token);
    try {
      const { head } = bundle;
      const agentId = order.request.target_agent_id ?? head.session.agent_external_id;
      const epoch = await this.promises.nextEpoch(principal, agentId);
      const { sessionId, bodyHash } = target;
      const restored = await this.copy(order, epoch, bundle);
      return await this.opener.open(
        importDerivation({
          ...{ sessionId, epoch, principal, agentId, bodyHash, head, by },
          ...{ server: claims.iss, exportId: claims.sub, sourceId: claims.sid },
          beginning: { type: 'copied', restored },
          messages: head.metadata.message_count,
        }),
      );
    } finally {
      await bundle.letGo();
    }
  }

  /**
   * The session once the other server has let the export be used.
   * @throws SbpError what the other server says; where it never lets it be used, nothing is left
   *   of the session
   */
  async keep(promise: RemotePromise): Promise<OpenSession> {
    const { sessionId, data, content } = promise;
    try {
      await this.consume(promise);
    } catch (error) {
      if (isFinal(error) || Date.parse(data.expires_at) + PATIENCE_MS < Date.now()) {
        await within(this.abandon(sessionId), ABANDON_MS);
      }
      throw error;
    }
    const { opened_epoch: epoch, principal, agent_id: agentId, restored } = data;
    return this.opener.open(
      importDerivation({
        ...{ sessionId, epoch, principal, agentId, bodyHash: data.body_hash, by: SYSTEM },
        beginning: { type: 'copied', restored },
        ...{ server: data.server, exportId: data.export_id, sourceId: data.source_session_id },
        messages: data.message_count,
        head: {
          session: { agent_external_id: data.source_agent_id, created_at: content.began_at },
          ...{ exported_at: content.exported_at, label: content.label },
          ...{ memory: content.memory, state_snapshot: content.state_snapshot },
        },
      }),
    );
  }

  private async copy(
    { target, by }: RemoteOrder,
    epoch: number,
    { head, messages }: FetchedBundle,
  ): Promise<RestoredParts> {
    const { session, metadata } = head;
    const costUsd = metadata.total_cost_usd;
    const conversation = { messages: messages(), steps: session.step_count, costUsd };
    try {
      return await this.opener.copy({ sessionId: target.sessionId, epoch, by }, conversation);
    } catch (error) {
      await this.dropCopy(target);
      throw error;
    }
  }

  /** Leaves no rows of what was copied, where nobody can ask for the same session again. */
  private async dropCopy({ sessionId, bodyHash }: RemoteOrder['target']): Promise<void> {
    if (bodyHash !== null) return;
    // Where the log does not take this either the rows stay: they take room, and nobody reads them.
    await this.sessionLog.execute(abandonment(sessionId)).catch(() => undefined);
  }

  private beginning(
    { target, principal, claims, token }: RemoteOrder,
    { head }: FetchedBundle,
    made: {
      readonly agentId: string;
      readonly epoch: number;
      readonly restored: RemotePromise['data']['restored'];
    },
  ) {
    const { agentId, epoch, restored } = made;
    return {
      type: 'BeginImport' as const,
      begun: {
        ...{ successor: target.sessionId, opened_epoch: epoch, agent_id: agentId },
        ...{ body_hash: target.bodyHash, export_id: claims.sub, principal, server: claims.iss },
        ...{ source_session_id: claims.sid, source_agent_id: head.session.agent_external_id },
        bundle_cid: claims.cid,
        expires_at: new Date(claims.exp * 1000).toISOString(),
        message_count: head.metadata.message_count,
        ...{ restored, maker: this.identity.address },
      },
      content: {
        roaming_token: token,
        ...{ exported_at: head.exported_at, label: head.label, memory: head.memory },
        ...{ state_snapshot: head.state_snapshot, began_at: head.session.created_at },
      },
    };
  }

  private async consume({ sessionId, data, content }: RemotePromise): Promise<void> {
    const { server, bundle_cid: cid } = data;
    const { status, json } = await this.client.askJson(server, {
      method: 'POST',
      path: `/v1/sbp/bundles/${encodeURIComponent(cid)}/consume`,
      token: content.roaming_token,
      body: { import_id: sessionId, server: this.options.publicUrl() },
    });
    if (status !== 200) throw await refusalOf(server, status, () => Promise.resolve(json));
  }

  private async abandon(sessionId: string): Promise<void> {
    const executed = await this.sessionLog.insist(abandonment(sessionId));
    if (executed.type === 'appended') await this.freshness.reached(executed.position);
  }
}

/** Says that nothing will come of an import. */
function abandonment(sessionId: string) {
  const command = { type: 'AbandonImport' } as const;
  return { sessionId, state: initialState, by: SYSTEM, command };
}

/** Whether the log will never take it. */
function isRefusal(error: unknown): boolean {
  return error instanceof SbpError && error.code === 'SBP_PAYLOAD_TOO_LARGE';
}

/** Whether the other server will never let the export be used. */
function isFinal(error: unknown): boolean {
  return error instanceof SbpError && error.code !== 'SBP_UPSTREAM_UNAVAILABLE';
}
