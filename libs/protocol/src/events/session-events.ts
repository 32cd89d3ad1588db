import { z } from 'zod';
import { Instant, JsonObject, Uuid } from '../json.js';
import { Message } from '../messages.js';
import { ProcessAddress, free, owned } from './envelope.js';
import {
  Memory,
  MessageAbout,
  RestoredParts,
  SessionBase,
  SessionOrigin,
} from './session-origin.js';

const count = z.int().min(0);
const label = z.string().max(120);

export const SessionOpened = owned(
  'session.opened',
  z.object({
    principal: z.string(),
    agent_id: z.string(),
    /** Absent for a session that a request has opened. */
    origin: SessionOrigin.optional(),
    /** Its conversation goes on from this place in another session. */
    base: SessionBase.optional(),
    /** Its conversation begins with what was copied. */
    restored: RestoredParts.optional(),
    /** Bytes, as JSON, of the message in `content.note`; absent without one. */
    note_bytes: count.optional(),
  }),
).extend({
  content: z
    .object({
      label: label.nullish(),
      /** Tells where the conversation comes from: its next message, by the system. */
      note: z.string().optional(),
      /** As an export brought it: nobody here knows what is in it. */
      memory: Memory.nullish(),
      state_snapshot: JsonObject.nullish(),
      /** When the conversation began, elsewhere. */
      began_at: Instant.optional(),
    })
    .optional(),
});

/**
 * A part of a conversation that is copied, before the session is opened with it. Written again it
 * changes nothing.
 */
export const SessionRestored = owned(
  'session.restored',
  z.object({
    /** From 1. */
    part: z.int().min(1),
    /** The place of its first message in the conversation, from 0. */
    first_index: count,
    message_count: count,
    step_count: count,
    cost_usd: z.number().min(0).nullable(),
    has_system: z.boolean(),
  }),
).extend({
  content: z.object({
    messages: z.array(Message),
    /** Of each message. */
    about: z.array(MessageAbout),
    system: z.array(Message).optional(),
  }),
});

/** Suspended on purpose: nothing runs in it until it is resumed. No turn is open. */
export const SessionSuspended = owned('session.suspended', z.object({}));

/** By itself, or in one append before the start of the turn that goes on with it. */
export const SessionResumed = owned('session.resumed', z.object({}));

/** Nothing will run in it any more. */
export const SessionCompleted = owned('session.completed', z.object({}));
export const SessionFailed = owned('session.failed', z.object({}));

/** A new session that somebody has promised to open [A17]. */
const promised = {
  successor: Uuid,
  /** Of its opening. */
  opened_epoch: z.int().min(1),
  /** Of the new session. */
  agent_id: z.string(),
  body_hash: z.string().nullable(),
};

/**
 * The session is suspended, and goes on as another one, of another agent: all of it in this one
 * event [A17].
 */
export const SessionHandedOff = owned(
  'session.handed_off',
  z.object({
    ...promised,
    export_id: Uuid,
    base: SessionBase,
    /** Who opens the new session; if it dies, somebody else does. */
    maker: ProcessAddress,
  }),
).extend({ content: z.object({ message: z.string().nullable(), reason: z.string().nullable() }) });

/** Session tokens of a lower generation are worth nothing any more. */
export const SessionTokensRevoked = free(
  'session.tokens_revoked',
  z.object({ generation: z.int().min(1) }),
);

export const SessionExported = free(
  'session.exported',
  z.object({
    export_id: Uuid,
    /** As the bundle says it. */
    exported_at: Instant,
    expires_at: Instant,
    /** The last turn of the session that the bundle holds; 0 for none. */
    turn_number: count,
    message_count: count,
    bundle_cid: z.string(),
  }),
).extend({ content: z.object({ label: label.nullable() }) });

/** An export is used, by one import: the first of its session's log [A17]. */
export const ExportConsumed = free(
  'export.consumed',
  z.object({
    ...promised,
    export_id: Uuid,
    /** Of the import: whoever repeats it with this id has won, too. */
    import_id: Uuid,
    principal: z.string(),
    /** The public URL of the server that imports; null for this one. */
    server: z.string().max(2048).nullable(),
    maker: ProcessAddress.nullable(),
  }),
);

/** An export that was not used cannot be used any more. */
export const ExportRevoked = free('export.revoked', z.object({ export_id: Uuid }));

/**
 * In the log of a session that is not open yet: an export of another server was copied for it, and
 * is about to be used there [A17].
 */
export const ImportBegun = free(
  'import.begun',
  z.object({
    ...promised,
    export_id: Uuid,
    principal: z.string(),
    /** The public URL of the server that has the export. */
    server: z.string().max(2048),
    source_session_id: Uuid,
    source_agent_id: z.string(),
    bundle_cid: z.string(),
    /** Of the token: nothing can come of it long after. */
    expires_at: Instant,
    /** Messages of the bundle. */
    message_count: count,
    restored: RestoredParts,
    maker: ProcessAddress,
  }),
).extend({
  content: z.object({
    /** Permits that the export is used; worth nothing once it was. */
    roaming_token: z.string(),
    exported_at: Instant,
    label: label.nullable(),
    memory: Memory.nullable(),
    state_snapshot: JsonObject.nullable(),
    began_at: Instant,
  }),
});

/** The other server did not let the export be used: nothing comes of the session. */
export const ImportAbandoned = free('import.abandoned', z.object({}));
