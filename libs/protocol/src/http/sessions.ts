import { z } from 'zod';
import { Instant, Uuid } from '../json.js';

/**
 * What a read shows of a session's life; `suspended` with `surface_gone` is computed, never stored.
 */
export const SessionStatus = z.enum(['idle', 'running', 'suspended', 'completed', 'failed']);
export type SessionStatus = z.infer<typeof SessionStatus>;

/** Answer of `GET /v1/sbp/sessions/{id}`. */
export const SessionResponse = z.object({
  session_id: Uuid,
  status: SessionStatus,
  status_reason: z.string().nullable(),
  agent_id: z.string(),
  step_count: z.int().min(0),
  message_count: z.int().min(0),
  turn_in_flight: Uuid.nullable(),
  surface: z
    .object({ surface_id: z.string().nullable(), device_type: z.string(), attached_at: Instant })
    .nullable(),
  /** Turns that wait for a surface. */
  queued_turns: z.int().min(0),
  last_checkpoint: Instant.nullable(),
  snapshot_id: Uuid.nullable(),
  created_at: Instant,
  updated_at: Instant,
});
export type SessionResponse = Readonly<z.infer<typeof SessionResponse>>;

/** Query of `GET /v1/sbp/sessions/{id}/messages`. */
export const MessagesQuery = z.object({
  after: z.coerce.number().int().min(0).optional(),
  limit: z.coerce.number().int().min(1).max(1000).default(100),
});

/**
 * Answer of `GET /v1/sbp/sessions/{id}/messages`; `index` counts from 0, `next_cursor` is the next
 * `after`.
 */
export const MessagesResponse = z.object({
  session_id: Uuid,
  messages: z.array(
    z.looseObject({
      index: z.int().min(0),
      role: z.string(),
      model_used: z.string().nullable(),
      cost_usd: z.number().nullable(),
      created_at: Instant,
      turn_id: Uuid,
    }),
  ),
  next_cursor: z.int().nullable(),
});
export type MessagesResponse = Readonly<z.infer<typeof MessagesResponse>>;

/** Claims of a session token. */
export const SessionClaims = z.object({
  sid: Uuid,
  iat: z.int(),
  exp: z.int(),
  use: z.literal('session'),
});
