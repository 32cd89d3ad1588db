import type { JsonObject, LogEventOf, SbpResponse } from '#libs/protocol';
import type { SessionHeaders } from './caller.js';
import type { TurnAttempt } from '../turn/turn-attempt.js';

/** The `sbp` object of a completed turn. */
export function sbpAnswer(
  attempt: TurnAttempt,
  session: SessionHeaders,
  event: LogEventOf<'turn.completed'>,
): SbpResponse {
  const { state } = attempt;
  const earlier = state.phase === 'open' ? (state.checkpoint?.at ?? null) : null;
  return {
    session_id: attempt.sessionId,
    session_token: session.sessionToken,
    turn_id: attempt.turnId,
    snapshot_id: event.data.snapshot_id,
    resume_available: false,
    resume_prompt: null,
    last_checkpoint: event.data.snapshot_id === null ? earlier : event.occurred_at,
    step_count: (state.phase === 'open' ? state.steps : 0) + 1,
    cost_usd: event.data.cost_usd,
    model_routed_to: event.data.model_used,
  };
}

/**
 * The last chunks of a stream, with `sbp` in the last one that has a `finish_reason`: a chunk of
 * its own would have no choice, and common clients break on that.
 */
export function withSbp(chunks: readonly string[], sbp: SbpResponse): readonly string[] {
  const parsed = chunks.map((data) => JSON.parse(data) as JsonObject);
  const at = parsed.findLastIndex(hasFinished);
  return chunks.map((data, index) =>
    index === at ? JSON.stringify({ ...parsed[index], sbp }) : data,
  );
}

function hasFinished({ choices }: JsonObject): boolean {
  if (!Array.isArray(choices)) return false;
  return choices.some((choice: JsonObject) => (choice['finish_reason'] ?? null) !== null);
}
