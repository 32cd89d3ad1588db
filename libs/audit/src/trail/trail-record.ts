import type { LogRecord } from '#libs/event-log';
import type { LogEvent } from '#libs/protocol';
import type { AuditRecordRow } from '../tables.js';
import { recordHash } from './chain.js';

/** A row of the trail, without what makes it one of a chain. */
export type TrailRecord = Omit<Readonly<AuditRecordRow>, 'chain' | 'seal'>;

/** The type of a record that this version cannot read. */
const UNREADABLE = 'unreadable';

/** Who did what to which session from which address; nothing of what anybody said. */
export function trailRecord({ position, event, raw }: LogRecord): TrailRecord {
  const { partition, offset } = position;
  const place = { partition, offset, recordHash: recordHash(raw) };
  return event === null ? { ...place, ...NOTHING } : { ...place, ...toldBy(event) };
}

type Told = Omit<TrailRecord, 'partition' | 'offset' | 'recordHash'>;

const NOTHING: Told = {
  type: UNREADABLE,
  eventId: null,
  sessionId: null,
  turnId: null,
  occurredAt: null,
  principal: null,
  via: null,
  address: null,
  requestId: null,
};

function toldBy(event: LogEvent): Told {
  const { by } = event;
  return {
    type: event.type,
    eventId: event.id,
    sessionId: event.session_id,
    turnId: 'turn_id' in event ? event.turn_id : null,
    occurredAt: bounded(event.occurred_at, 40),
    principal: by.principal === null ? null : bounded(by.principal),
    via: by.via,
    address: by.address === undefined ? null : bounded(by.address),
    requestId: by.request_id === undefined ? null : bounded(by.request_id),
  };
}

/** As its column holds it: Postgres takes no NUL, and no index a long text. */
function bounded(text: string, length = 256): string {
  return Array.from(text.replaceAll('\0', '\ufffd')).slice(0, length).join('');
}
