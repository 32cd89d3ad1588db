import { eventNameOf } from '#libs/protocol';
import { tuples } from '#libs/sql';
import type { EntityManager } from 'typeorm';
import type { HeldRecords } from '../projection/record-fold.js';
import { bucketOf } from '../projection/record-fold.js';
import { rows } from '../statement.js';

/** Holds the records of a batch that are not folded: two statements, however many they are. */
export async function holdRecords(
  transaction: EntityManager,
  partition: number,
  held: ReadonlyMap<string, HeldRecords>,
): Promise<void> {
  const events = [...held].flatMap(([sessionId, { fault, records }]) =>
    records.map(({ position: { offset }, text }) => {
      const { id, type } = eventNameOf(text);
      const isFirst = offset === fault?.offset;
      const reason = sessionId === bucketOf(partition) ? 'no_session' : 'behind';
      // Postgres takes no NUL in a text, and what holds one is no JSON.
      const value = text.replaceAll('\0', '\ufffd');
      return [partition, offset, sessionId, id, type, isFirst ? fault.reason : reason, value];
    }),
  );
  await rows(transaction)`
    INSERT INTO quarantined_events (log_partition, log_offset, session_id, event_id, event_type,
      reason, value)
    VALUES ${tuples(events)}`;
  const sessions = [...held].map(([sessionId, { fault, records }]) => {
    const { offset, reason, detail } = fault ?? KNOWN;
    return [sessionId, partition, offset, reason, detail, records.length];
  });
  await rows(transaction)`
    INSERT INTO quarantined_sessions (session_id, log_partition, since_offset, reason, detail,
      event_count)
    VALUES ${tuples(sessions)}
    ON CONFLICT (session_id) DO UPDATE
      SET event_count = quarantined_sessions.event_count + excluded.event_count`;
}

/** Of a session that has its row: only the count is added. */
const KNOWN = { offset: 0, reason: '', detail: '' };

export async function countSkipped(
  transaction: EntityManager,
  partition: number,
  skipped: ReadonlyMap<string, number>,
): Promise<void> {
  await rows(transaction)`
    INSERT INTO skipped_events (log_partition, event_type, count)
    VALUES ${tuples([...skipped].map(([type, count]) => [partition, type, count]))}
    ON CONFLICT (log_partition, event_type) DO UPDATE
      SET count = skipped_events.count + excluded.count`;
}
