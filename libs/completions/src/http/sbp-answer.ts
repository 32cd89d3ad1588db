import type { LogEventOf, SbpResponse } from '#libs/protocol';
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
 * The end of a stream with `sbp` in its last chunk that has a `finish_reason`. A chunk of its own
 * would have no choices, and many clients read `choices[0]` of every chunk.
 */
export function withSbp(held: readonly string[], sbp: SbpResponse): readonly string[] {
  const chunks = held.map((data) => JSON.parse(data) as ChunkEnd);
  const at = chunks.findLastIndex(({ choices }) =>
    choices?.some(({ finish_reason: reason }) => typeof reason === 'string' && reason !== ''),
  );
  return held.map((data, index) => (index === at ? JSON.stringify({ ...chunks[at], sbp }) : data));
}

interface ChunkEnd {
  readonly choices?: readonly { readonly finish_reason?: unknown }[];
}
