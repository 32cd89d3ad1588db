import { z } from 'zod';
import { Instant, Uuid } from '../json.js';

/** A process, as others address it: a leased slot number, and the one life that holds it. */
export const ProcessAddress = z.object({ slot: z.int().min(0), incarnation: Uuid });
export type ProcessAddress = Readonly<z.infer<typeof ProcessAddress>>;

/** Who caused an event: audit needs it, and a replay cannot make it up. */
export const Actor = z.object({
  /** Null where the server acted by itself. */
  principal: z.string().nullable(),
  /** `http` and `surface`: a client; `system`: this server by itself; `server`: another one. */
  via: z.enum(['http', 'surface', 'system', 'server']),
  /** The client's IP address. */
  address: z.string().optional(),
  request_id: z.string().optional(),
});
export type Actor = Readonly<z.infer<typeof Actor>>;

const envelope = {
  /** Unique per event; a repeat of it changes nothing. */
  id: Uuid,
  schema: z.literal(1),
  session_id: Uuid,
  occurred_at: Instant,
  by: Actor,
  /** W3C trace context of what caused it. */
  trace: z.string().optional(),
  /** Id of the key that the content is sealed with; reserved. */
  enc: z.string().optional(),
  /** A reader that does not know the type may pass it over. */
  optional: z.literal(true).optional(),
};

/*
 * `data` decides: ids, epochs, counts and flags, and nothing else is read by the fold. `content`
 * is carried: what a person or a model wrote [A10].
 *
 * Only the holder of a claim may state an *owned* event: it counts unless a higher epoch stands
 * before it in the session's log [A3]. Anybody may state a *free* one; it counts once, by the ids
 * in it.
 */

export const owned = <T extends string, D extends z.ZodType>(type: T, data: D) =>
  z.object({ ...envelope, type: z.literal(type), epoch: z.int().min(1), data });

export const ownedTurn = <T extends string, D extends z.ZodType>(type: T, data: D) =>
  z.object({ ...envelope, type: z.literal(type), turn_id: Uuid, epoch: z.int().min(1), data });

export const free = <T extends string, D extends z.ZodType>(type: T, data: D) =>
  z.object({ ...envelope, type: z.literal(type), data });

export const freeTurn = <T extends string, D extends z.ZodType>(type: T, data: D) =>
  z.object({ ...envelope, type: z.literal(type), turn_id: Uuid, data });
