import { z } from 'zod';
import { Instant, Line, Uuid } from '../json.js';
import { LIMITS } from '../limits.js';

/** Query of `GET /v1/sbp/audit`: which records, and behind which one. */
export const AuditQuery = z.object({
  session_id: Uuid.optional(),
  principal: Line.min(1).max(LIMITS.principal).optional(),
  /** The `next_after` of the page before: a partition and an offset. */
  after: z
    .string()
    .regex(/^\d{1,9}:\d{1,15}$/, 'is not the next_after of a page')
    .optional(),
  limit: z.coerce.number().int().min(1).max(1_000).default(100),
});

const Digest = z.string().regex(/^[0-9a-f]{64}$/);

/**
 * One record of the log as the audit trail has it; what its event says is null in one that is
 * `unreadable`.
 */
export const AuditRecord = z.object({
  partition: z.int().min(0),
  offset: z.int().min(0),
  event_id: Uuid.nullable(),
  type: z.string(),
  session_id: Uuid.nullable(),
  turn_id: Uuid.nullable(),
  occurred_at: Instant.nullable(),
  by: z.object({
    principal: z.string().nullable(),
    via: z.string().nullable(),
    address: z.string().nullable(),
    request_id: z.string().nullable(),
  }),
  record_hash: Digest,
  chain: Digest,
});

/** Answer of `GET /v1/sbp/audit`, by partition and offset; `next_after` is the next `after`. */
export const AuditResponse = z.object({
  records: z.array(AuditRecord),
  next_after: z.string().nullable(),
});
export type AuditResponse = Readonly<z.infer<typeof AuditResponse>>;
