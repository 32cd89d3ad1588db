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

/** The chunk that brings `sbp` to a stream's client: after the model's own, before `[DONE]`. */
export function sbpChunk(last: JsonObject, sbp: SbpResponse): string {
  const { id, object, created, model } = last;
  return JSON.stringify({ id, object, created, model, choices: [], sbp });
}
