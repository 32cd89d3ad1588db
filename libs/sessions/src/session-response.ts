import type { OpenSession } from '#libs/domain';
import { queuedTurns, shownLife } from '#libs/domain';
import type { SessionResponse } from '#libs/protocol';

/** A session as an operator sees it: whose it is, and nothing that a person or a model wrote. */
export function operatorResponse(sessionId: string, session: OpenSession): SessionResponse {
  return { ...sessionResponse(sessionId, session, null), principal: session.principal };
}

/** A session as its page shows it. */
export function sessionResponse(
  sessionId: string,
  session: OpenSession,
  label: string | null,
): SessionResponse {
  const { surface, turn, checkpoint } = session;
  const { status, reason } = shownLife(session);
  return {
    session_id: sessionId,
    status,
    status_reason: reason,
    agent_id: session.agentId,
    label,
    step_count: session.steps,
    message_count: session.messages,
    turn_in_flight: turn?.turnId ?? null,
    surface:
      surface.type === 'attached'
        ? {
            surface_id: surface.attachment.context.surface_id ?? null,
            device_type: surface.attachment.context.device_type ?? 'unknown',
            attached_at: surface.attachment.attachedAt,
          }
        : null,
    queued_turns: queuedTurns(session),
    last_checkpoint: checkpoint?.at ?? null,
    snapshot_id: checkpoint?.snapshotId ?? null,
    created_at: session.createdAt,
    updated_at: session.updatedAt,
  };
}
