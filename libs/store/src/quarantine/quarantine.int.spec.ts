import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { evolve } from '#libs/domain';
import {
  fold,
  id,
  sessionExported,
  sessionOpened,
  surfaceAttached,
  turnStarted,
} from '#libs/domain/testing';
import type { LogEvent } from '#libs/protocol';
import { EventCodec, LogEvent as schema } from '#libs/protocol';
import { StorageFault } from '#libs/sql';
import {
  DIALECTS,
  aProcess,
  attachedSession,
  idleSession,
  nextTurn,
  openTestStore,
  readBy,
  recordsOf,
  runningSession,
  tablesOf,
  turnOf,
} from '#libs/store/testing';
import type { TestStore } from '#libs/store/testing';
import { Claims } from '../claims/claims.js';
import { Orphans } from '../claims/orphans.js';
import { ProjectionProgress } from '../projection/projection-progress.js';
import { Projection } from '../projection/projection.js';
import { ExportReads } from '../reads/export-reads.js';
import { Freshness } from '../reads/freshness.js';
import { SessionInspection } from '../reads/session-inspection.js';
import { SessionList } from '../reads/session-list.js';
import { SessionReads } from '../reads/session-reads.js';
import { SurfaceReads } from '../reads/surface-reads.js';
import { Quarantine } from './quarantine.js';
import { SessionQuarantined } from './stored-state.js';

const SECRET = 'what-a-person-wrote';
const [SICK, WELL] = [id(1), id(2)];

/** An event as a later version writes it, which `LATER` can read. */
function later(event: LogEvent): readonly [string, string] {
  return [event.session_id, JSON.stringify({ ...event, schema: 2, told: SECRET })];
}

function now(event: LogEvent): readonly [string, string] {
  return [event.session_id, JSON.stringify(event)];
}

const LATER = new EventCodec(
  schema,
  ['turn.started', 'session.opened'].map((type) => {
    return { type, schema: 2, up: (event) => ({ ...event, schema: 1 }) };
  }),
);

describe.each(DIALECTS)('the quarantine on %s', (dialect) => {
  let store: TestStore;
  let quarantine: Quarantine;
  let upgraded: Quarantine;

  beforeAll(async () => {
    store = await openTestStore(dialect);
    quarantine = new Quarantine(store.database, new Projection());
    upgraded = new Quarantine(store.database, new Projection(), LATER);
  });
  afterAll(() => store.close());
  beforeEach(() => store.clear());

  const [start] = nextTurn(1, { turnId: id(77), epoch: 20 }) as [LogEvent];
  const sickLog = [
    ...idleSession(1).map(now),
    later(start),
    ...nextTurn(2, { turnId: id(78), epoch: 20 }).map(now),
  ];

  it('takes a session with an event of a later version, and what comes behind it, in one batch with others', async () => {
    const well = idleSession(2).map(now);
    const behind = now(surfaceAttached(id(9), { session: SICK }));
    const applied = await store.apply(readBy([...well, ...sickLog, behind]));
    expect(applied.quarantined).toEqual([
      {
        ...{ sessionId: SICK, partition: 0, offset: 6 },
        ...{ reason: 'unknown_schema', detail: 'turn.started, schema 2' },
      },
    ]);
    const asked = { withContent: true };
    expect(await quarantine.events(SICK, 0, 10, asked)).toMatchObject([
      { offset: 6, eventId: start.id, reason: 'unknown_schema', value: later(start)[1] },
      { offset: 8, eventType: 'surface.attached', reason: 'behind', value: behind[1] },
    ]);
    expect(await quarantine.events(SICK, 7, 10, { withContent: false })).toMatchObject([
      { offset: 8, value: null },
    ]);
    expect(await quarantine.counts()).toEqual({ sessions: 1, events: 2, skipped: 0 });
    const reads = new SessionReads(store.database);
    expect(await reads.state(WELL)).toMatchObject({ turn: { turnId: id(78) } });

    await store.apply(readBy([now(turnStarted(40, { session: SICK })), behind], { from: 9 }));
    expect(await quarantine.find(SICK)).toEqual({
      ...{ sessionId: SICK, partition: 0, offset: 6, events: 4 },
      ...{ reason: 'unknown_schema', detail: 'turn.started, schema 2' },
    });
  });

  it('pokes whoever has to do with the session', async () => {
    const gateway = aProcess(3);
    const log = [...attachedSession(1, gateway).map(now), later(start)];
    const { pokes } = await store.apply(readBy(log));
    expect(pokes).toContainEqual({ sessionId: SICK, process: gateway });
  });

  describe('lets nobody act on what was folded before', () => {
    const gateway = aProcess(3);
    const { turn } = turnOf(1);
    const exported = sessionExported(id(12), { session: SICK });

    beforeEach(async () => {
      const attached = surfaceAttached(id(9), { session: SICK, gateway });
      const running = [...runningSession(1), attached, exported];
      await store.apply(readBy([...running.map(now), later(start)]));
    });

    it('who reads it', async () => {
      const reads = new SessionReads(store.database);
      await expect(reads.state(SICK)).rejects.toThrow(SessionQuarantined);
      await expect(reads.open(SICK)).rejects.toThrow(SessionQuarantined);
      await expect(reads.attempt(SICK, turn)).rejects.toThrow(SessionQuarantined);
      const surfaces = new SurfaceReads(store.database);
      await expect(surfaces.view(SICK, 0)).rejects.toThrow(SessionQuarantined);
      expect((await surfaces.glance([SICK])).get(SICK)).toMatchObject({ attachId: null });
      const filter = { principal: 'anonymous', agentId: null, status: null, label: null };
      const list = new SessionList(store.database);
      expect(await list.page({ ...filter, since: null }, null, 10)).toEqual([]);
      expect(await list.placeOf(SICK, 'anonymous')).not.toBeNull();
      const exports = new ExportReads(store.database);
      await expect(exports.one(exported.data.export_id)).rejects.toThrow(SessionQuarantined);
      expect(await reads.lastState(SICK)).toMatchObject({ turn: { turnId: turn } });
      expect(await new SessionInspection(store.database).inspect(SICK, 0)).toMatchObject({
        isQuarantined: true,
        state: { turn: { turnId: turn } },
      });
    });

    it('who claims it, or takes it over', async () => {
      const claims = new Claims(store.database);
      const target = { type: 'session', sessionId: SICK, principal: null } as const;
      const live = { type: 'live', principal: 'anonymous', agentId: 'agent' } as const;
      const runner = aProcess(1);
      for (const wanted of [target, live]) {
        const claim = claims.claim({ target: wanted, turnId: id(80), runner, beforeWaiting: true });
        await expect(claim).rejects.toThrow(SessionQuarantined);
        await expect(claims.look(wanted)).rejects.toThrow(SessionQuarantined);
      }
      expect(await claims.seize(SICK, turn, runner)).toBeNull();
      expect(await claims.interrupt({ sessionId: SICK, turnId: id(81), runner }, null)).toBeNull();
      expect(await store.rows('claims')).toEqual([]);
      expect(claims.inUse.has(id(80))).toBe(false);
    });

    it('who looks for orphans, also where a dead process holds its claim', async () => {
      await store.clear();
      await store.apply(readBy(idleSession(1).map(now)));
      const claims = new Claims(store.database);
      const dead = aProcess(4);
      const target = { type: 'session', sessionId: SICK, principal: null } as const;
      await claims.claim({ target, turnId: id(80), runner: dead });
      const orphans = new Orphans(store.database, claims.inUse);
      expect(await orphans.heldBy([dead.incarnation], 10)).toHaveLength(1);
      await store.apply(readBy([later(start)], { from: 3 }));
      expect(await orphans.heldBy([dead.incarnation], 10)).toEqual([]);
      expect(await orphans.unclaimed(Date.now(), 10)).toEqual([]);
    });
  });

  it('has also a session that was never opened, which is not said to be absent', async () => {
    await store.apply(readBy([later(sessionOpened(10, { session: SICK }))]));
    const progress = new ProjectionProgress(() => Promise.resolve(new Map([[0, 1]])));
    const log = { partitions: 1, partitionOf: () => 0, end: () => Promise.resolve(1) };
    const freshness = new Freshness(store.database, log, progress);
    await expect(freshness.presence(SICK)).rejects.toMatchObject({
      code: 'SBP_UPSTREAM_UNAVAILABLE',
      retryAfter: 60,
      message: expect.stringContaining('quarantined') as string,
    });
    expect(await freshness.presence(WELL)).toBe('absent');
  });

  it('takes a session at whose event the fold throws, with nothing of what was thrown', async () => {
    const failing = new Projection((state, event) => {
      if (event.id === start.id) throw new TypeError(SECRET);
      return evolve(state, event);
    });
    const log = [...idleSession(1), start, ...idleSession(2)];
    const { quarantined } = await store.apply(recordsOf(log), failing);
    expect(quarantined).toMatchObject([
      { reason: 'fold_failed', detail: 'the fold of turn.started threw TypeError', offset: 3 },
    ]);
    expect(await new SessionReads(store.database).state(WELL)).toMatchObject({ steps: 1 });
    expect(await quarantine.retry(SICK)).toEqual({ type: 'folded', events: 1 });
    const repaired = await tablesOf(store);
    await store.clear();
    await store.apply(recordsOf(log));
    expect(await tablesOf(store)).toEqual(repaired);
  });

  it('is nothing for an event that a failure of the database kept from being folded', async () => {
    await store.database.write((transaction) => transaction.query('DROP TABLE turns'));
    try {
      const applying = store.apply(recordsOf(idleSession(1)));
      await expect(applying).rejects.toThrow(StorageFault);
      expect(await quarantine.counts()).toMatchObject({ sessions: 0 });
    } finally {
      await store.database.dropAll([]);
      await store.database.migrate();
    }
  });

  it('is nothing for an unknown event that is optional, which is passed over and counted', async () => {
    const optional: readonly [string, string] = [
      SICK,
      JSON.stringify({ type: 'session.starred', schema: 1, optional: true }),
    ];
    const log = [...idleSession(1).map(now), optional, optional];
    await store.apply(readBy(log));
    await store.apply(readBy([optional], { from: 5 }));
    expect(await quarantine.counts()).toEqual({ sessions: 0, events: 0, skipped: 3 });
    expect(await new SessionReads(store.database).state(SICK)).toMatchObject({ steps: 1 });
  });

  it('holds records whose keys are no session ids apart, and goes on', async () => {
    const stray = [
      ['', 'nonsense'],
      ['no id', `\0${SECRET}`],
    ] as const;
    await store.apply(readBy([...stray, ...idleSession(1).map(now)]));
    await store.apply(readBy([['', '{}']], { from: 5 }));
    expect(await quarantine.list('', 10)).toEqual([
      {
        ...{ sessionId: 'no-session-0', partition: 0, offset: 0, reason: 'no_session', events: 3 },
        detail: 'the key of the record is no session id',
      },
    ]);
    expect(await new SessionReads(store.database).state(SICK)).toMatchObject({ steps: 1 });
    expect(await quarantine.retry('no-session-0')).toEqual({ type: 'none' });
    const tried: string[] = [];
    await quarantine.retryPartition(0, (sessionId) => tried.push(sessionId));
    expect(tried).toEqual([]);
  });

  describe('tried again', () => {
    /** More than one transaction takes. */
    const long = Array.from({ length: 230 }, (_, at) =>
      surfaceAttached(id(5000 + at), { session: SICK }),
    );
    const log = [...idleSession(1).map(now), later(start), ...long.map(now)];

    it('by a version that reads it folds the rest in order, though it is long', async () => {
      await store.apply(readBy(log));
      const outcome = await upgraded.retry(SICK);
      expect(outcome).toEqual({ type: 'folded', events: 231 });
      const repaired = await tablesOf(store);
      expect(repaired['quarantined_sessions']).toEqual([]);
      await store.clear();
      await store.apply(readBy(log, { codec: LATER }));
      expect(await tablesOf(store)).toEqual(repaired);
      expect(repaired['sessions']).toMatchObject([{ attach_id: id(5229) }]);
    });

    it('stays quarantined while events are left, and takes what comes meanwhile behind them', async () => {
      await store.apply(readBy(log));
      const [tail] = nextTurn(1, { turnId: id(79), epoch: 30 }) as [LogEvent];
      // The projector comes between the transactions of the retry: each waits for the other.
      const [outcome] = await Promise.all([
        upgraded.retry(SICK),
        store.apply(readBy([now(tail)], { from: log.length })),
      ]);
      expect(outcome.type).toBe('folded');
      const state = await new SessionReads(store.database).state(SICK);
      const whole = [...idleSession(1), start, ...long, tail];
      expect(state).toEqual(JSON.parse(JSON.stringify(fold(whole).state)));
    });

    it('by several processes at once is folded once', async () => {
      await store.apply(readBy(log));
      const outcomes = await Promise.all([1, 2, 3].map(() => upgraded.retry(SICK)));
      expect(outcomes.map(({ type }) => type)).toContain('folded');
      const folded = outcomes.map((each) => (each.type === 'none' ? 0 : each.events));
      expect(folded.reduce((sum, events) => sum + events, 0)).toBe(231);
      expect(await store.rows('quarantined_events')).toEqual([]);
    });

    it('by a version that does not read it changes nothing', async () => {
      await store.apply(readBy(log));
      const before = await tablesOf(store);
      expect(await quarantine.retry(SICK)).toMatchObject({ type: 'held', events: 0 });
      expect(await tablesOf(store)).toEqual(before);
    });

    it('folds what it can, and says what stands in the way now', async () => {
      const bad: readonly [string, string] = [SICK, `{"${SECRET}`];
      await store.apply(readBy([...log.slice(0, 5), bad, ...log.slice(5, 8)]));
      expect(await upgraded.retry(SICK)).toMatchObject({
        ...{ type: 'held', events: 2, fault: { offset: 5, reason: 'malformed' } },
      });
      const then = await tablesOf(store);
      await store.clear();
      await store.apply(readBy([...log.slice(0, 5), bad, ...log.slice(5, 8)], { codec: LATER }));
      expect(await tablesOf(store)).toEqual(then);
    });

    it('leaves no row of a session in which nothing counts', async () => {
      const [late] = runningSession(1).slice(1) as [LogEvent];
      await store.apply(readBy([later(late)]));
      expect(await store.rows('sessions')).toHaveLength(1);
      expect(await upgraded.retry(SICK)).toEqual({ type: 'folded', events: 1 });
      expect(await store.rows('sessions')).toEqual([]);
    });

    it('is tried for every session of a partition', async () => {
      const opened = (number: number) => later(sessionOpened(10, { session: id(number) }));
      const many = Array.from({ length: 120 }, (_, at) => opened(at + 1));
      await store.apply(readBy([...many, [id(500), '{']]));
      const outcomes: string[] = [];
      await upgraded.retryPartition(0, (_session, { type }) => outcomes.push(type));
      expect(outcomes).toEqual([...many.map(() => 'folded'), 'held']);
      expect(await quarantine.counts()).toMatchObject({ sessions: 1, events: 1 });
      await upgraded.retryPartition(1, () => outcomes.push('of another partition'));
      expect(outcomes).toHaveLength(121);
    });
  });

  it('says nothing of what people wrote in the row of a session', async () => {
    await store.apply(readBy([...sickLog, [SICK, SECRET], [WELL, `{"type":"${SECRET} x"`]]));
    expect(JSON.stringify(await store.rows('quarantined_sessions'))).not.toContain(SECRET);
  });
});
