import { z } from 'zod';
import { Instant, Line, Uuid } from '../json.js';
import { LIMITS } from '../limits.js';

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
  /** Of a fork, or of the export that was imported. */
  label: z.string().nullable(),
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
  /** Whose it is; told to operators alone. */
  principal: z.string().optional(),
});
export type SessionResponse = Readonly<z.infer<typeof SessionResponse>>;

/** Query of `GET /v1/sbp/sessions`: which sessions, and behind which one. */
export const SessionsQuery = z.object({
  /** Whose sessions: an operator must say it, anybody else can name himself alone. */
  principal: Line.min(1).max(LIMITS.principal).optional(),
  agent_id: Line.min(1).max(LIMITS.agentId).optional(),
  status: SessionStatus.optional(),
  label: Line.max(120).optional(),
  /** Opened at or after this instant. */
  since: Instant.optional(),
  /** The session that the page before ended with. */
  cursor: Uuid.optional(),
  limit: z.coerce.number().int().min(1).max(100).default(20),
});

/** Answer of `GET /v1/sbp/sessions`, newest first; `next_cursor` is the next `cursor`. */
export const SessionsResponse = z.object({
  sessions: z.array(SessionResponse),
  next_cursor: Uuid.nullable(),
});
export type SessionsResponse = Readonly<z.infer<typeof SessionsResponse>>;

/** Body of `PATCH /v1/sbp/sessions/{id}/status`. */
export const StatusRequest = z.object({
  status: z.enum(['running', 'suspended', 'completed', 'failed']),
});

/** Body of `POST /v1/sbp/sessions/{id}/token`. */
export const TokenRequest = z.object({
  /** Whether the session's earlier tokens are worth nothing from now on. */
  revoke: z.boolean().default(false),
});

/** Answer of `POST /v1/sbp/sessions/{id}/token`. */
export const TokenResponse = z.object({ session_token: z.string(), expires_at: Instant });
export type TokenResponse = Readonly<z.infer<typeof TokenResponse>>;

/** Query of `GET /v1/sbp/sessions/{id}/messages`. */
export const MessagesQuery = z.object({
  after: z.coerce.number().int().min(0).max(LIMITS.place).optional(),
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
  /** Generation: `POST …/token` with `revoke` raises that of the session. */
  gen: z.int().min(0).default(0),
});
