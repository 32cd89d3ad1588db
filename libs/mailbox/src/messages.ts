import { z } from 'zod';
import { CallerPresence, ProcessAddress, Usage } from '#libs/protocol';

/**
 * A gateway asks a runner for a turn's text from `offset` on. Offsets between processes count
 * UTF-16 code units.
 */
const Watch = z.object({
  type: z.literal('watch'),
  session_id: z.string(),
  turn_id: z.string(),
  epoch: z.int(),
  attach_id: z.string(),
  offset: z.int().min(0),
  reply_to: ProcessAddress,
});

/** A runner tells a watching gateway text of a turn that begins at `offset`. */
const Live = z.object({
  type: z.literal('live'),
  session_id: z.string(),
  turn_id: z.string(),
  epoch: z.int(),
  attach_id: z.string(),
  offset: z.int().min(0),
  text: z.string(),
});

/** Something of a session changed in the read models: look there. */
const Poke = z.object({ type: z.literal('poke'), session_id: z.string() });

/** A turn's claim was taken to stop it: its runner ends at once, and says what it had. */
const Stop = z.object({
  type: z.literal('stop'),
  session_id: z.string(),
  turn_id: z.string(),
  reply_to: ProcessAddress,
});

/** A runner has ended, because it was told to. */
const Stopped = z.object({
  type: z.literal('stopped'),
  session_id: z.string(),
  turn_id: z.string(),
  caller: CallerPresence,
  usage: Usage.nullable(),
});

export const MailboxMessage = z.discriminatedUnion('type', [Watch, Live, Poke, Stop, Stopped]);
export type MailboxMessage = Readonly<z.infer<typeof MailboxMessage>>;
export type MailboxMessageOf<T extends MailboxMessage['type']> = Extract<
  MailboxMessage,
  { type: T }
>;
