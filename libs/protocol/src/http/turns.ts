import { z } from 'zod';
import { Usage } from '../events/turn-events.js';
import { Instant, Uuid } from '../json.js';
import { LIMITS } from '../limits.js';
import { PendingCall } from './approvals.js';

/** Where a turn stands, as a read shows it. */
const TurnState = z.enum(['queued', 'running', 'parked', 'completed', 'failed', 'cancelled']);

const Turn = z.object({
  turn_id: Uuid,
  /** Its place among the session's turns, from 1; null while it waits. */
  number: z.int().min(1).nullable(),
  status: TurnState,
  model_used: z.string().nullable(),
  usage: Usage.nullable(),
  cost_usd: z.number().nullable(),
  snapshot_id: Uuid.nullable(),
  created_at: Instant,
  ended_at: Instant.nullable(),
});

/** Answer of `GET /v1/sbp/sessions/{id}/turns/{turn_id}`. */
export const TurnResponse = Turn.extend({
  /** The text of its answer; null unless it completed. */
  content: z.string().nullable(),
  error: z.object({ code: z.string(), message: z.string() }).nullable(),
  /** Its calls of tools of the surface that have no outcome yet. */
  pending_calls: z.array(PendingCall),
});
export type TurnResponse = Readonly<z.infer<typeof TurnResponse>>;

/**
 * Query of `GET /v1/sbp/sessions/{id}/turns`: turns behind the number `after`, oldest first; those
 * that wait stand at the end of the last page, beyond `limit`.
 */
export const TurnsQuery = z.object({
  after: z.coerce.number().int().min(0).max(LIMITS.place).default(0),
  limit: z.coerce.number().int().min(1).max(100).default(20),
});

/** Answer of `GET /v1/sbp/sessions/{id}/turns`; `next_cursor` is the next `after`. */
export const TurnsResponse = z.object({
  session_id: Uuid,
  turns: z.array(Turn),
  next_cursor: z.int().nullable(),
});
export type TurnsResponse = Readonly<z.infer<typeof TurnsResponse>>;

/**
 * Body of `POST /v1/sbp/sessions/{id}/cancel`; without a turn it is the running one, or else the
 * next.
 */
export const CancelRequest = z.object({ turn_id: Uuid.nullish() });

/** Answer of `POST /v1/sbp/sessions/{id}/cancel`: what has become of the turn. */
export const CancelResponse = z.object({
  session_id: Uuid,
  turn_id: Uuid,
  status: z.enum(['completed', 'failed', 'cancelled']),
});
export type CancelResponse = Readonly<z.infer<typeof CancelResponse>>;
