import { z } from 'zod';
import { LIMITS } from '../limits.js';
import { Line, Uuid } from '../json.js';
import { ToolPolicy } from '../events/tool-policy.js';
import { History } from '../events/turn-events.js';
import { Message } from '../messages.js';
import { PendingCall } from './approvals.js';

/** The `sbp` object of a request. Unknown fields are ignored. */
export const SbpRequest = z.object({
  session_id: Uuid.nullish(),
  force_new_session: z.boolean().default(false),
  checkpoint_every: z.int().min(1).max(1_000_000).default(1),
  /** What becomes of the turn when its HTTP caller goes away. */
  on_disconnect: z.enum(['continue', 'cancel']).default('continue'),
  history: History.default('auto'),
  /** Answer 202 at once; the turn runs when its time has come, and its answer waits. */
  background: z.boolean().default(false),
  /** What happens where the session has a turn in flight. */
  on_conflict: z.enum(['queue', 'reject', 'interrupt']).default('queue'),
  ...ToolPolicy.shape,
});
export type SbpRequest = Readonly<z.infer<typeof SbpRequest>>;

/**
 * What this server needs of a Chat Completions body; every other field passes through untouched.
 */
export const CompletionRequest = z.looseObject({
  model: Line.min(1).max(256),
  messages: z.array(Message).min(1).max(LIMITS.messages),
  stream: z.boolean().nullish(),
  stream_options: z.looseObject({ include_usage: z.boolean().nullish() }).nullish(),
  n: z.int().min(1).max(128).nullish(),
});
export type CompletionRequest = Readonly<z.infer<typeof CompletionRequest>>;

/** The `sbp` object of a response. */
export const SbpResponse = z.object({
  session_id: Uuid,
  session_token: z.string(),
  turn_id: Uuid,
  snapshot_id: Uuid.nullable(),
  resume_available: z.boolean(),
  resume_prompt: z.string().nullable(),
  last_checkpoint: z.iso.datetime().nullable(),
  step_count: z.int().min(0),
  cost_usd: z.number().nullable(),
  model_routed_to: z.string(),
});
export type SbpResponse = Readonly<z.infer<typeof SbpResponse>>;

/** The `sbp` object that answers a request whose turn runs in the background, with 202. */
export const SbpAccepted = SbpResponse.pick({
  session_id: true,
  session_token: true,
  turn_id: true,
  resume_available: true,
});
export type SbpAccepted = Readonly<z.infer<typeof SbpAccepted>>;

/** The `sbp` object that answers a request whose turn is parked, with 202. */
export const SbpParked = SbpAccepted.extend({ pending_calls: z.array(PendingCall) });
export type SbpParked = Readonly<z.infer<typeof SbpParked>>;

/** The `sbp` object that answers a probe, which is a tracked request with empty `messages`. */
export const SbpProbe = SbpResponse.pick({
  session_id: true,
  session_token: true,
  snapshot_id: true,
  resume_available: true,
  resume_prompt: true,
  last_checkpoint: true,
  step_count: true,
}).extend({
  /** The session that it was handed over as; told to its principal alone. */
  handed_off_to: z.object({ session_id: Uuid, agent_id: z.string() }).optional(),
});
export type SbpProbe = Readonly<z.infer<typeof SbpProbe>>;
