import type { Actor, Bundle } from '#libs/protocol';
import type { BundleStream } from '../bundle/bundle.js';
import { importNote } from './notes.js';
import type { Derivation } from './session-opener.js';

/** What an import takes of a bundle beside its messages. */
type ImportedHead = Pick<Bundle, 'exported_at' | 'label' | 'memory' | 'state_snapshot'> & {
  readonly session: Pick<Bundle['session'], 'agent_external_id' | 'created_at'>;
};

/** An export, of this server or another, that becomes a session. */
export interface ImportedExport {
  readonly sessionId: string;
  readonly epoch: number;
  readonly principal: string;
  readonly agentId: string;
  readonly bodyHash: string | null;
  /** The public URL of the server that it comes from; null for this one. */
  readonly server: string | null;
  readonly exportId: string;
  readonly sourceId: string;
  /** Of the bundle. */
  readonly messages: number;
  readonly beginning: Derivation['beginning'];
  readonly head: ImportedHead;
  readonly by: Actor;
}

/** The session that an import makes. */
export function importDerivation(imported: ImportedExport): Derivation {
  const { sessionId, epoch, principal, agentId, beginning, by } = imported;
  const { head, server, exportId, sourceId } = imported;
  const { agent_external_id: fromAgent, created_at: beganAt } = head.session;
  const { exported_at: exportedAt, label } = head;
  return {
    ...{ sessionId, epoch, principal, agentId, label, beganAt, beginning, by },
    origin: {
      ...{ type: 'import', session_id: sourceId, export_id: exportId, server },
      ...{ agent_id: fromAgent, body_hash: imported.bodyHash, message_count: imported.messages },
    },
    note: importNote({
      ...{ sessionId: sourceId, agentId: fromAgent, exportId, exportedAt, label, server },
    }),
    memory: head.memory,
    stateSnapshot: head.state_snapshot,
  };
}

/** A bundle's conversation, to be copied. */
export function copyOf(bundle: BundleStream): Derivation['beginning'] {
  return {
    type: 'copy',
    conversation: {
      messages: bundle.messages(),
      steps: bundle.session.step_count,
      costUsd: bundle.metadata.total_cost_usd,
    },
  };
}
