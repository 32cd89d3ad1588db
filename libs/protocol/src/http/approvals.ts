import { z } from 'zod';
import { Instant, JsonObject, Uuid } from '../json.js';

/** A call of a tool of the surface that has no outcome yet. */
export const PendingCall = z.object({
  call_id: Uuid,
  /** As the surface knows it. */
  tool_name: z.string(),
  tool_input: JsonObject,
  /** `device`: for a surface that has the tool; `result`: the surface has the call. */
  waits_for: z.enum(['approval', 'device', 'result']),
  /** When the call is given up. */
  expires_at: Instant,
});
export type PendingCall = Readonly<z.infer<typeof PendingCall>>;

/** Body of `POST /v1/sbp/sessions/{id}/approvals/{call_id}`. */
export const ApprovalRequest = z.object({
  approve: z.boolean(),
  /** Why, as the model is told where the call is denied. */
  reason: z.string().max(1_000).nullish(),
});

/** Answer of `POST /v1/sbp/sessions/{id}/approvals/{call_id}`: the decision that counts. */
export const ApprovalResponse = z.object({
  session_id: Uuid,
  call_id: Uuid,
  approved: z.boolean(),
});
export type ApprovalResponse = Readonly<z.infer<typeof ApprovalResponse>>;
