import { z } from 'zod';
import { JsonObject, Uuid } from '../json.js';

const count = z.int().min(0);

/** One turn of one session. */
export const TurnPlace = z.object({ session_id: Uuid, turn_number: z.int().min(1) });
export type TurnPlace = Readonly<z.infer<typeof TurnPlace>>;

/**
 * Where in another session the conversation of this one begins: nothing of it is copied, and what
 * happens there later does not show here [A16].
 */
export const SessionBase = z.object({
  session_id: Uuid,
  /** The last turn of it that counts; 0 for none. */
  turn_number: count,
  /** How many messages of its conversation count. */
  message_count: count,
  /** Their bytes, as JSON, and those of the system messages. */
  bytes: count,
  step_count: count,
  cost_usd: z.number().min(0).nullable(),
  /** The turn that brought the system messages in force; null for none. */
  system: TurnPlace.nullable(),
  /** The turns that tell the model where the conversation comes from, oldest first. */
  notes: z.array(TurnPlace).max(64),
  /** How many sessions stand behind one another, this base's the last. */
  depth: z.int().min(1),
});
export type SessionBase = Readonly<z.infer<typeof SessionBase>>;

/** Which session a session comes from, and how. */
export const SessionOrigin = z.object({
  type: z.enum(['fork', 'import', 'handoff']),
  session_id: Uuid,
  /** Of an import or a handoff. */
  export_id: Uuid.nullable(),
  /** The public URL of the server that it comes from; null for this one. */
  server: z.string().max(2048).nullable(),
  /** Of that session. */
  agent_id: z.string(),
  /** Messages of the export that was imported; null where none was. */
  message_count: count.nullable(),
  /** SHA-256, in hex, of the request that asked for it with an `Idempotency-Key`; else null. */
  body_hash: z.string().nullable(),
});
export type SessionOrigin = Readonly<z.infer<typeof SessionOrigin>>;

/** What an import has copied before the session was opened. */
export const RestoredParts = z.object({
  parts: count,
  message_count: count,
  bytes: count,
  step_count: count,
  cost_usd: z.number().min(0).nullable(),
  /** Whether the first part brings system messages. */
  has_system: z.boolean(),
});
export type RestoredParts = Readonly<z.infer<typeof RestoredParts>>;

/** Where a copied message comes from. */
export const MessageAbout = z.object({
  model_used: z.string().nullable(),
  cost_usd: z.number().nullable(),
  created_at: z.string(),
});
export type MessageAbout = Readonly<z.infer<typeof MessageAbout>>;

/** What an agent remembers, in a form that only whoever knows `schema_id` can read. */
export const Memory = z.object({ schema_id: z.string(), payload: JsonObject });
export type Memory = Readonly<z.infer<typeof Memory>>;
