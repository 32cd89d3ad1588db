import { z } from 'zod';
import { TurnError } from '../frames/frames.js';
import { Instant, JsonObject, Uuid } from '../json.js';
import { Message } from '../messages.js';
import { SurfaceContext } from '../frames/surface-context.js';

/**
 * A process, as others address it: a leased slot number, and the one life of a process that holds
 * it.
 */
export const ProcessAddress = z.object({ slot: z.int().min(0), incarnation: Uuid });
export type ProcessAddress = Readonly<z.infer<typeof ProcessAddress>>;

/** Tokens as the model counted them. */
export const Usage = z.looseObject({
  prompt_tokens: z.number().min(0),
  completion_tokens: z.number().min(0),
});
export type Usage = Readonly<z.infer<typeof Usage>>;

const envelope = {
  /** Unique per fact; a repeat of it changes nothing. */
  id: Uuid,
  schema: z.literal(1),
  session_id: Uuid,
  occurred_at: Instant,
  /** W3C trace context of what caused it. */
  trace: z.string().optional(),
  /** Id of the key that the content is encrypted with; reserved. */
  enc: z.string().optional(),
};

/**
 * A fact that only the holder of a claim may state: it counts unless a higher epoch stands before
 * it in the log [A3].
 */
const owned = <T extends string, D extends z.ZodType>(type: T, data: D) =>
  z.object({ ...envelope, type: z.literal(type), epoch: z.int().min(1), data });

/** As `owned`, of one turn. */
const ownedTurn = <T extends string, D extends z.ZodType>(type: T, data: D) =>
  z.object({ ...envelope, type: z.literal(type), turn_id: Uuid, epoch: z.int().min(1), data });

/** A fact that anybody may state; it counts once, by the ids in it. */
const free = <T extends string, D extends z.ZodType>(type: T, data: D) =>
  z.object({ ...envelope, type: z.literal(type), data });

const freeTurn = <T extends string, D extends z.ZodType>(type: T, data: D) =>
  z.object({ ...envelope, type: z.literal(type), turn_id: Uuid, data });

/** The HTTP caller of a turn at the moment of its end. */
export const CallerPresence = z.enum(['connected', 'gone']);
export type CallerPresence = z.infer<typeof CallerPresence>;

export const SessionOpened = owned(
  'session.opened',
  z.object({ principal: z.string(), agent_id: z.string() }),
);

export const TurnStarted = ownedTurn(
  'turn.started',
  z.object({
    runner: ProcessAddress,
    /** How many stored messages the conversation keeps; the new ones come after them. */
    keeps: z.int().min(0),
    messages: z.array(Message),
    /** System and developer messages, where they replace the stored ones. */
    system: z.array(Message).optional(),
    model: z.string(),
    /** The rest of the request body, so that the turn can be run again. */
    options: JsonObject,
    checkpoint_every: z.int().min(1),
  }),
);

export const TurnAdopted = ownedTurn('turn.adopted', z.object({ runner: ProcessAddress }));

export const TurnCompleted = ownedTurn(
  'turn.completed',
  z.object({
    messages: z.array(Message),
    model_used: z.string(),
    usage: Usage.nullable(),
    cost_usd: z.number().min(0).nullable(),
    snapshot_id: Uuid.nullable(),
    caller: CallerPresence,
  }),
);

export const TurnFailed = ownedTurn(
  'turn.failed',
  z.object({ error: TurnError, caller: CallerPresence }),
);
export const TurnCancelled = ownedTurn(
  'turn.cancelled',
  z.object({ error: TurnError, caller: CallerPresence }),
);
export const TurnUndelivered = freeTurn('turn.undelivered', z.object({}));

export const SurfaceAttached = free(
  'surface.attached',
  z.object({ attach_id: Uuid, gateway: ProcessAddress, context: SurfaceContext }),
);

export const SurfaceDetached = free(
  'surface.detached',
  z.object({
    attach_id: Uuid,
    reason: z.enum(['detach', 'closed', 'unresponsive', 'refused', 'shutdown', 'gateway_lost']),
  }),
);

export const SurfaceAcknowledged = free(
  'surface.acknowledged',
  z.object({ attach_id: Uuid, /** All turns up to it were read. */ seq: z.int().min(1) }),
);

export const SessionExported = free(
  'session.exported',
  z.object({
    export_id: Uuid,
    label: z.string().max(120).nullable(),
    expires_at: Instant,
    /** The last turn of the session that the bundle holds; 0 for none. */
    turn_number: z.int().min(0),
    message_count: z.int().min(0),
    bundle_cid: z.string(),
  }),
);

export const LogEvent = z.discriminatedUnion('type', [
  SessionOpened,
  TurnStarted,
  TurnAdopted,
  TurnCompleted,
  TurnFailed,
  TurnCancelled,
  TurnUndelivered,
  SurfaceAttached,
  SurfaceDetached,
  SurfaceAcknowledged,
  SessionExported,
]);
/** One fact of the log. */
export type LogEvent = Readonly<z.infer<typeof LogEvent>>;
export type LogEventType = LogEvent['type'];
export type LogEventOf<T extends LogEventType> = Extract<LogEvent, { type: T }>;

const Known = new Set<string>(LogEvent.options.map((option) => option.shape.type.value));

export type DecodedEvent =
  | { readonly type: 'event'; readonly event: LogEvent }
  /** A later writer's event type or version: readers pass it over. */
  | { readonly type: 'unknown' }
  /** Not an event at all; a reader reports it. */
  | { readonly type: 'malformed'; readonly problem: string };

/** Reads a record of the log as written by this or a later version. */
export function decodeEvent(text: string): DecodedEvent {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (error) {
    return { type: 'malformed', problem: String(error) };
  }
  const head = z.looseObject({ type: z.string(), schema: z.int() }).safeParse(json);
  if (!head.success) return { type: 'malformed', problem: z.prettifyError(head.error) };
  if (!Known.has(head.data.type) || head.data.schema !== 1) return { type: 'unknown' };
  const parsed = LogEvent.safeParse(json);
  return parsed.success
    ? { type: 'event', event: parsed.data }
    : { type: 'malformed', problem: z.prettifyError(parsed.error) };
}
