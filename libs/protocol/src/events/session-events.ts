import { z } from 'zod';
import { Instant, Uuid } from '../json.js';
import { free, owned } from './envelope.js';

export const SessionOpened = owned(
  'session.opened',
  z.object({ principal: z.string(), agent_id: z.string() }),
);

export const SessionExported = free(
  'session.exported',
  z.object({
    export_id: Uuid,
    expires_at: Instant,
    /** The last turn of the session that the bundle holds; 0 for none. */
    turn_number: z.int().min(0),
    message_count: z.int().min(0),
    bundle_cid: z.string(),
  }),
).extend({ content: z.object({ label: z.string().max(120).nullable() }) });
