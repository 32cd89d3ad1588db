import { z } from 'zod';
import { Instant, JsonObject, Uuid } from '../json.js';
import { Message } from '../messages.js';

/** Body of `POST /v1/sbp/sessions/{id}/export`. */
export const ExportRequest = z.object({
  ttl_seconds: z.int().min(60).max(604_800).default(86_400),
  label: z.string().max(120).nullish(),
});
export type ExportRequest = Readonly<z.infer<typeof ExportRequest>>;

export const ExportResponse = z.object({
  export_id: Uuid,
  roaming_token: z.string(),
  session_id: Uuid,
  expires_at: Instant,
  bundle_hash: z.string(),
  bundle_cid: z.string(),
  message_count: z.int().min(0),
  label: z.string().nullable(),
});
export type ExportResponse = Readonly<z.infer<typeof ExportResponse>>;

/** Claims of a roaming token. */
export const RoamingClaims = z.object({
  sub: Uuid,
  sid: Uuid,
  iat: z.int(),
  exp: z.int(),
  iss: z.string(),
  cid: z.string(),
});
export type RoamingClaims = Readonly<z.infer<typeof RoamingClaims>>;

/** A session's exported state; its address is the SHA-256 of its canonical JSON (RFC 8785). */
export const Bundle = z.object({
  sbp_version: z.literal('1.0'),
  exported_at: Instant,
  label: z.string().nullable(),
  session: z.object({
    id: Uuid,
    agent_external_id: z.string(),
    status: z.string(),
    last_task: z.string().nullable(),
    created_at: Instant,
    step_count: z.int().min(0),
  }),
  messages: z.array(
    Message.extend({
      model_used: z.string().nullable(),
      cost_usd: z.number().nullable(),
      created_at: Instant,
    }),
  ),
  memory: z.object({ schema_id: z.string(), payload: JsonObject }).nullable(),
  state_snapshot: JsonObject.nullable(),
  metadata: z.object({
    export_id: Uuid,
    message_count: z.int().min(0),
    total_cost_usd: z.number().nullable(),
  }),
});
export type Bundle = Readonly<z.infer<typeof Bundle>>;
