import { createHash } from 'node:crypto';
import canonicalize from 'canonicalize';
import type { OpenSession } from '#libs/domain';
import type { Bundle } from '#libs/protocol';
import type { TranscriptAsOf } from '#libs/store';

export interface BundleRequest {
  readonly sessionId: string;
  readonly exportId: string;
  /** ISO 8601. */
  readonly exportedAt: string;
  readonly label: string | null;
  /** Whether the session has had no turn yet. */
  readonly isIdle: boolean;
}

/** The last task of a bundle is cut at this many characters. */
const TASK_LENGTH = 500;

/**
 * A session's state as it leaves this server: the same again from the same turns, whenever it is
 * made.
 */
export function makeBundle(
  request: BundleRequest,
  session: OpenSession,
  transcript: TranscriptAsOf,
): Bundle {
  const { system, entries, steps, totalCostUsd } = transcript;
  const messages = [
    ...system.map((message) => ({
      ...message,
      model_used: null,
      cost_usd: null,
      created_at: session.createdAt,
    })),
    ...entries.map(({ message, modelUsed, costUsd, createdAt }) => ({
      ...message,
      model_used: modelUsed,
      cost_usd: costUsd,
      created_at: createdAt,
    })),
  ];
  const task = entries.findLast(({ message }) => message.role === 'user')?.message.content;
  return {
    sbp_version: '1.0',
    exported_at: request.exportedAt,
    label: request.label,
    session: {
      id: request.sessionId,
      agent_external_id: session.agentId,
      status: request.isIdle ? 'idle' : 'running',
      last_task: typeof task === 'string' ? task.slice(0, TASK_LENGTH) : null,
      created_at: session.createdAt,
      step_count: steps,
    },
    messages,
    memory: null,
    state_snapshot: null,
    metadata: {
      export_id: request.exportId,
      message_count: messages.length,
      total_cost_usd: totalCostUsd,
    },
  };
}

/** A bundle's address: the SHA-256, in hex, of its canonical JSON (RFC 8785). */
export function bundleCid(bundle: Bundle): string {
  const canonical = canonicalize(bundle);
  if (canonical === undefined) throw new Error('a bundle has no canonical form');
  return createHash('sha256').update(canonical).digest('hex');
}
