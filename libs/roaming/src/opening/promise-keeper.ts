import type { OpenSession } from '#libs/domain';
import { SYSTEM } from '#libs/session-log';
import type { PromisedSession } from '#libs/store';
import { ExportReads, SessionReads, mustBeOpen } from '#libs/store';
import { Injectable } from '@nestjs/common';
import { Bundles } from '../bundle/bundles.js';
import { RemoteImports } from '../servers/remote-imports.js';
import { copyOf, importDerivation } from './import-derivation.js';
import { handoffNote } from './notes.js';
import type { Derivation } from './session-opener.js';
import { SessionOpener } from './session-opener.js';

type PromiseOf<T extends PromisedSession['type']> = Extract<PromisedSession, { type: T }>;

/**
 * Opens the sessions that others have promised [A17]: from what is in the log alone, so that any
 * process can.
 */
@Injectable()
export class PromiseKeeper {
  private readonly keeping = new Map<string, Promise<OpenSession>>();

  constructor(
    private readonly opener: SessionOpener,
    private readonly remote: RemoteImports,
    private readonly bundles: Bundles,
    private readonly exports: ExportReads,
    private readonly reads: SessionReads,
  ) {}

  /** Whether it is being kept here. */
  isKeeping(sessionId: string): boolean {
    return this.keeping.has(sessionId);
  }

  /** The session once it is open. */
  keep(promise: PromisedSession): Promise<OpenSession> {
    const { sessionId } = promise;
    const known = this.keeping.get(sessionId);
    if (known !== undefined) return known;
    const keeping = this.open(promise).finally(() => this.keeping.delete(sessionId));
    this.keeping.set(sessionId, keeping);
    return keeping;
  }

  private async open(promise: PromisedSession): Promise<OpenSession> {
    if (promise.type === 'remote') return this.remote.keep(promise);
    return this.opener.open(
      promise.type === 'handoff' ? await this.ofHandoff(promise) : await this.ofImport(promise),
    );
  }

  private async ofHandoff(promise: PromiseOf<'handoff'>): Promise<Derivation> {
    const { sessionId, sourceId, data, content } = promise;
    const source = mustBeOpen(sourceId, await this.reads.lastState(sourceId));
    const { agent_id: agentId, export_id: exportId, base } = data;
    const said = { sourceId, fromAgent: source.agentId, toAgent: agentId, ...content };
    return {
      ...{ sessionId, epoch: data.opened_epoch, principal: source.principal, agentId },
      origin: {
        ...{ type: 'handoff', session_id: sourceId, export_id: exportId, server: null },
        ...{ agent_id: source.agentId, body_hash: data.body_hash, message_count: null },
      },
      beginning: { type: 'base', base },
      note: handoffNote(said),
      ...{ label: null, memory: null, stateSnapshot: null, beganAt: null, by: SYSTEM },
    };
  }

  private async ofImport(promise: PromiseOf<'import'>): Promise<Derivation> {
    const { sessionId, sourceId, data } = promise;
    const { export_id: exportId, principal, agent_id: agentId } = data;
    const exported = await this.exports.one(exportId);
    if (exported === null) throw new Error(`export ${exportId} is not stored`);
    const bundle = await this.bundles.ofExport(exported);
    return importDerivation({
      ...{ sessionId, epoch: data.opened_epoch, principal, agentId, bodyHash: data.body_hash },
      ...{ server: null, exportId, sourceId, messages: exported.messageCount },
      ...{ beginning: copyOf(bundle), head: bundle, by: SYSTEM },
    });
  }
}
