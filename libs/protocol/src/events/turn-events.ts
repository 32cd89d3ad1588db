import { z } from 'zod';
import { JsonObject, Uuid } from '../json.js';
import { Message } from '../messages.js';
import { ProcessAddress, freeTurn, ownedTurn } from './envelope.js';
import { ToolPolicy } from './tool-policy.js';

/** Tokens as the model counted them. */
export const Usage = z.looseObject({
  prompt_tokens: z.number().min(0),
  completion_tokens: z.number().min(0),
});
export type Usage = Readonly<z.infer<typeof Usage>>;

/** The HTTP caller of a turn at the moment of its end. */
export const CallerPresence = z.enum(['connected', 'gone']);
export type CallerPresence = z.infer<typeof CallerPresence>;

const milliseconds = z.int().min(0);
const count = z.int().min(0);

/** What the messages of a request are: only what is new, all of it, or to be found out. */
export const History = z.enum(['auto', 'new', 'full']);
export type History = z.infer<typeof History>;

/**
 * A turn waits for those before it: the log's order is the queue's. What its request adds to the
 * conversation is found out when it starts.
 */
export const TurnQueued = freeTurn(
  'turn.queued',
  z.object({
    /** Who starts it when its time has come; whoever finds this process silent does so instead. */
    holder: ProcessAddress,
    /** Whether its caller was answered when it was queued, and does not wait for it. */
    background: z.boolean(),
    /** Turns that had started and ended when its request arrived: an edit cuts no later one. */
    after: count,
    history: History,
    /** Bytes of the request. */
    bytes: count,
    model: z.string(),
    checkpoint_every: z.int().min(1),
    body_hash: z.string().nullable(),
    idempotency_key: z.string().nullable(),
  }),
).extend({
  content: z.object({
    /** As the request had them. */
    messages: z.array(Message),
    options: JsonObject,
    tool_policy: ToolPolicy.optional(),
  }),
});

/** Ends a turn that waits; one that is not known may not be queued any more. */
export const TurnWithdrawn = freeTurn(
  'turn.withdrawn',
  z.object({
    /**
     * `SBP_TURN_CANCELLED`, or why it could not be started; null where its caller was told that
     * nothing had begun, so that nothing is left of it.
     */
    code: z.string().nullable(),
    caller: CallerPresence,
  }),
).extend({ content: z.object({ message: z.string() }) });

export const TurnStarted = ownedTurn(
  'turn.started',
  z.object({
    runner: ProcessAddress,
    /**
     * How many turns had started as far as its writer saw. If the fold has more, `keeps` does not
     * count, so that a stale writer can cut no acknowledged turn.
     */
    after: count,
    /** How many stored messages the conversation keeps; the new ones come after them. */
    keeps: count,
    /** Bytes of the messages that are kept, as JSON. */
    kept_bytes: count,
    /** How many messages `content` has. */
    message_count: count,
    /** Bytes of those messages, and of the system messages, as JSON. */
    bytes: count,
    /** Whether `content` has system messages, which replace the stored ones. */
    replaces_system: z.boolean(),
    model: z.string(),
    checkpoint_every: z.int().min(1),
    /** SHA-256, in hex, of the request's body: what a retry is known by. */
    body_hash: z.string().nullable(),
    idempotency_key: z.string().nullable(),
    /** Whether it waited in the session's queue; one that does not any more cannot start. */
    queued: z.boolean(),
    /** Whether it ends all turns that wait before it. */
    interrupt: z.boolean(),
  }),
).extend({
  content: z.object({
    messages: z.array(Message),
    system: z.array(Message).optional(),
    /** The rest of the request body, so that the turn can be run again. */
    options: JsonObject,
    /** Absent where the request says nothing of it. */
    tool_policy: ToolPolicy.optional(),
  }),
});

export const TurnAdopted = ownedTurn(
  'turn.adopted',
  z.object({
    runner: ProcessAddress,
    /** Whether its runner ended on purpose and left it to others; else it died. */
    handed_over: z.boolean(),
  }),
);

/**
 * All open calls of the turn wait for a human or a device: its runner has left it, and whoever
 * finds that one of them waits no more adopts it [A19].
 */
export const TurnParked = ownedTurn('turn.parked', z.object({}));

export const TurnCompleted = ownedTurn(
  'turn.completed',
  z.object({
    /** How many messages the turn adds behind those that it began with: also of its rounds. */
    message_count: count,
    /** Bytes of those messages, as JSON. */
    bytes: count,
    model_used: z.string(),
    usage: Usage.nullable(),
    cost_usd: z.number().min(0).nullable(),
    snapshot_id: Uuid.nullable(),
    caller: CallerPresence,
    /** From the call of the model to its first text; null if it said nothing. */
    first_token_ms: milliseconds.nullable(),
    /** From the call of the model to the end of its answer. */
    model_ms: milliseconds,
  }),
).extend({
  content: z.object({
    /** What the model said last. */
    messages: z.array(Message),
    /** What it had said to the human in the rounds before, joined. */
    said: z.string().optional(),
    /** The model's other choices, with `n` above 1: each could have been the last message. */
    alternatives: z.array(Message).optional(),
    /** Why the model ended, as it said it. */
    finish_reason: z.string().optional(),
  }),
});

const ending = z.object({
  /** A code of the error table, or `SBP_UPSTREAM_ERROR`, `SBP_TURN_ABANDONED`. */
  code: z.string(),
  caller: CallerPresence,
});
const told = z.object({ message: z.string() });

export const TurnFailed = ownedTurn(
  'turn.failed',
  ending.extend({
    /** Whether the model may have seen the request. */
    reached_model: z.boolean(),
    /** The HTTP status that the model answered with. */
    upstream_status: z.int().nullable(),
  }),
).extend({
  content: told.extend({
    /** What the model answered, as it was passed on, where that is short. */
    answer: z.object({ status: z.int(), type: z.string(), body: z.string() }).optional(),
  }),
});

/**
 * Its epoch is that of the attempt that runs the turn, whose runner states it; or above it, of
 * whoever took the claim to stop the turn.
 */
export const TurnCancelled = ownedTurn(
  'turn.cancelled',
  ending.extend({
    /** What the model had used by then, estimated where it did not say; null if nobody knows. */
    usage: Usage.nullable(),
  }),
).extend({ content: told });

export const TurnUndelivered = freeTurn('turn.undelivered', z.object({}));
