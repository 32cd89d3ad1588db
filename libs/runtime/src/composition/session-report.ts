import { isDeepStrictEqual } from 'node:util';
import type { SessionState } from '#libs/domain';
import { evolve, initialState, queuedTurns } from '#libs/domain';
import type { EventLog } from '#libs/event-log';
import type { LogEvent } from '#libs/protocol';
import type { InspectedClaim, InspectedSession } from '#libs/store';
import { SessionInspection } from '#libs/store';
import type { Logger } from '#libs/telemetry';
import type { Settings } from '../settings/settings.js';
import type { Storage } from './storage.js';
import { openIdleStorage } from './idle-storage.js';

/** An event with its place in the log. */
export interface ReportedEvent {
  readonly offset: number;
  /** Without `content` unless that was asked for: people and models wrote it. */
  readonly event: Omit<LogEvent, 'content'>;
}

/**
 * How the read models stand to the log: `same` is the fold of what the projector has read, and all
 * is read; `behind`, what it has read is right; `different`, a defect or a change by hand.
 */
type ReadModelsVerdict = 'same' | 'behind' | 'different';

/** One session as the log and the database have it. */
export interface SessionReport {
  readonly sessionId: string;
  /** The storage, in words. */
  readonly backend: string;
  readonly partition: number;
  /** The offset after the partition's last record when it was read. */
  readonly end: number;
  /** The projector's next offset; below `end` the read models are behind. */
  readonly foldedTo: number;
  readonly readModels: ReadModelsVerdict;
  /** Records of the partition that this version cannot read, whatever session they are of. */
  readonly unreadable: number;
  readonly events: readonly ReportedEvent[];
  /** The fold of all the session's events. */
  readonly state: SessionState;
  readonly claim: InspectedClaim | null;
  /** Null where the session was never opened. */
  readonly tether: { readonly cursor: number; readonly head: number; readonly owed: number } | null;
}

/**
 * Reads what there is to know of a session, and changes nothing of it. On Kafka it reads the whole
 * partition of the session. @throws UnusableDataDirectory, embedded, where there is no store or a
 * server runs on it
 */
export async function sessionReport(
  settings: Settings,
  sessionId: string,
  options: { readonly withContent: boolean },
  logger: Logger,
): Promise<SessionReport> {
  const storage = await openIdleStorage(settings, 'log', logger);
  try {
    const { log } = storage;
    const partition = log.partitionOf(sessionId);
    // Before the log, so that all that is folded is also read.
    const inspection = new SessionInspection(storage.database);
    const inspected = await inspection.inspect(sessionId, partition);
    const read = await readSession(log, partition, sessionId);
    return report(storage, { sessionId, partition, inspected, read, ...options });
  } finally {
    await storage.close();
  }
}

interface ReadEvent {
  readonly offset: number;
  readonly event: LogEvent;
}

interface ReadSession {
  readonly events: readonly ReadEvent[];
  readonly end: number;
  readonly unreadable: number;
}

async function readSession(
  log: EventLog,
  partition: number,
  sessionId: string,
): Promise<ReadSession> {
  const events: ReadEvent[] = [];
  let unreadable = 0;
  let end = 0;
  for await (const records of log.read(partition, 0)) {
    for (const { position, event } of records) {
      end = position.offset + 1;
      if (event === null) unreadable += 1;
      else if (event.session_id === sessionId) events.push({ offset: position.offset, event });
    }
  }
  return { events, end, unreadable };
}

interface Found {
  readonly sessionId: string;
  readonly partition: number;
  readonly inspected: InspectedSession;
  readonly read: ReadSession;
  readonly withContent: boolean;
}

function report({ description }: Storage, found: Found): SessionReport {
  const { sessionId, partition, inspected, read, withContent } = found;
  const { foldedTo, claim } = inspected;
  const { events, end, unreadable } = read;
  const state = foldOf(events);
  return {
    sessionId,
    backend: description,
    partition,
    end,
    foldedTo,
    readModels: readModelsVerdict(inspected, read),
    unreadable,
    events: events.map(({ offset, event }) => ({
      offset,
      event: withContent ? event : withoutContent(event),
    })),
    state,
    claim,
    tether:
      state.phase === 'open'
        ? { cursor: state.cursor, head: state.head, owed: queuedTurns(state) }
        : null,
  };
}

function readModelsVerdict(
  { state, foldedTo }: InspectedSession,
  { events, end }: ReadSession,
): ReadModelsVerdict {
  const seen = foldOf(events.filter(({ offset }) => offset < foldedTo));
  // As it was stored: JSON knows no `undefined`.
  const expected: unknown = JSON.parse(JSON.stringify(seen));
  if (!isDeepStrictEqual(state ?? initialState, expected)) return 'different';
  return foldedTo < end ? 'behind' : 'same';
}

function foldOf(events: readonly ReadEvent[]): SessionState {
  return events.reduce<SessionState>(
    (state, { event }) => evolve(state, event).state,
    initialState,
  );
}

function withoutContent({
  content: _content,
  ...rest
}: LogEvent & { readonly content?: object | undefined }): Omit<LogEvent, 'content'> {
  return rest;
}
