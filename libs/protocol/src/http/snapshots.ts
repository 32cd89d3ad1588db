import { z } from 'zod';
import { Instant, Uuid } from '../json.js';

/** A named place in a session. */
const SnapshotPlace = z.object({
  snapshot_id: Uuid,
  /** A turn completed; tools of the surface were about to be called, or had all returned. */
  kind: z.enum(['checkpoint', 'pre_action', 'post_action']),
  turn_id: Uuid,
  model: z.string(),
  created_at: Instant,
});

/** Query of `GET /v1/sbp/sessions/{id}/snapshots`: those behind the snapshot `after`. */
export const SnapshotsQuery = z.object({
  after: Uuid.optional(),
  limit: z.coerce.number().int().min(1).max(100).default(20),
});

/** Answer of `GET /v1/sbp/sessions/{id}/snapshots`; `next_cursor` is the next `after`. */
export const SnapshotsResponse = z.object({
  session_id: Uuid,
  snapshots: z.array(SnapshotPlace),
  next_cursor: Uuid.nullable(),
});
export type SnapshotsResponse = Readonly<z.infer<typeof SnapshotsResponse>>;

/** Answer of `GET /v1/sbp/sessions/{id}/snapshots/{snapshot_id}`: the session as it was there. */
export const SnapshotResponse = SnapshotPlace.extend({
  session_id: Uuid,
  /** The text of the last message that a user had sent; null where there was none. */
  current_task: z.string().nullable(),
  /** Turns that had completed. */
  step_count: z.int().min(0),
  messages: z.array(z.looseObject({ index: z.int().min(0), role: z.string(), turn_id: Uuid })),
});
export type SnapshotResponse = Readonly<z.infer<typeof SnapshotResponse>>;
