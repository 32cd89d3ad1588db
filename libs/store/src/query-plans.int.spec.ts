import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { id, toolsCalled, turnCompleted, turnFailed, turnStarted } from '#libs/domain/testing';
import type { OpenSession } from '#libs/domain';
import type { Database } from '#libs/sql';
import { raw, sql } from '#libs/sql';
import {
  DIALECTS,
  aProcess,
  attachedSession,
  idleSession,
  openTestStore,
  plansOf,
  runningSession,
  turnOf,
  recordsOf,
} from '#libs/store/testing';
import type { TestStore } from '#libs/store/testing';
import { Claims } from './claims/claims.js';
import { Orphans } from './claims/orphans.js';
import { QueueHeads } from './claims/queue-heads.js';
import { UnconfirmedAnswers } from './claims/unconfirmed-answers.js';
import { Processes } from './processes/processes.js';
import { ProjectionProgress } from './projection/projection-progress.js';
import { Projection } from './projection/projection.js';
import { Freshness } from './reads/freshness.js';
import { SessionList } from './reads/session-list.js';
import { SessionReads } from './reads/session-reads.js';
import { Snapshots } from './reads/snapshots.js';
import { SurfaceReads } from './reads/surface-reads.js';
import { ToolReads } from './reads/tool-reads.js';
import { Transcripts } from './reads/transcripts.js';
import { TurnEnds } from './reads/turn-ends.js';

/** Sessions that nobody uses, and turns of the one long session. */
const IDLE = 20_000;
/** Sessions that somebody claims, so that reading all live rows shows in a plan, too. */
const BUSY = { count: 1_000, names: 'idle 1___' };
/** Sessions whose turn is parked, for long. */
const PARKED = { count: 1_000, names: 'idle 2___', dueAt: 9_000_000_000_000 };
const LONG = 1;
const LAST = IDLE + 1;

/** Indexes that hold live rows only, and of which all is asked for. */
const LIVE = ['claims_unconfirmed', 'sessions_next_turn'];
/** By the name or the alias that the statements give them. */
const GROWING = ['sessions', 'claims', 'turns', 'tool_rounds', 'tool_calls', 's', 'c', 'r'];

const runner = aProcess(1);
const gateway = aProcess(2);

describe.each(DIALECTS)('beside 20,000 idle sessions and turns on %s', (dialect) => {
  let store: TestStore;

  beforeAll(async () => {
    store = await openTestStore(dialect);
    await store.fold(...idleSession(LONG));
    await copy('sessions', { session_id: `'idle ' || n.i` });
    await copy('turns', {
      ...{ number: 'n.i + 1', turn_id: `'turn ' || n.i`, seq: 'n.i', first_index: '2 * n.i' },
      ...{ end_index: '2 * n.i + 2', visible_end: '2 * n.i + 2' },
    });
    await store.database.write(async (transaction) => {
      await sql(transaction)`
        INSERT INTO claims SELECT session_id, NULL, 10, 1, ${randomUUID()}, 5, '', 0 FROM sessions`;
      await sql(transaction)`
        UPDATE claims SET turn_id = 'busy' WHERE session_id LIKE ${BUSY.names}`;
      await sql(transaction)`
        UPDATE sessions SET open_turn_id = 'parked', due_at = ${PARKED.dueAt}
        WHERE session_id LIKE ${PARKED.names}`;
      const long = await new SessionReads(store.database).state(id(LONG));
      const messages = 2 * LAST;
      const state = JSON.stringify({ ...long, turns: LAST, messages, head: IDLE });
      await sql(transaction)`
        UPDATE sessions SET state = ${state} WHERE session_id = ${id(LONG)}`;
    });
    const calling = { session: id(6), turn: turnOf(6).turn };
    await store.fold(...runningSession(6), toolsCalled(10, calling), turnCompleted(10, calling));
    const ofLong = { session_id: `'${id(LONG)}'`, turn_number: 'n.i + 1' };
    await copy('tool_rounds', { ...ofLong, called_snapshot_id: `'called ' || n.i` });
    await copy('tool_calls', { ...ofLong, call_id: `'call ' || n.i` });
    await store.fold(...runningSession(2, 10, runner), ...attachedSession(3, gateway));
    await store.fold(...idleSession(4), ...idleSession(5));
    await analyze();
  });
  afterAll(() => store.close());

  /** Many copies of a table's one row, with these columns made anew of the counter `n.i`. */
  async function copy(
    table: 'sessions' | 'turns' | 'tool_rounds' | 'tool_calls',
    made: Record<string, string>,
  ): Promise<void> {
    const [row = {}] = await store.rows(table);
    const columns = Object.keys(row).filter((name) => !(name in made));
    const into = [...columns, ...Object.keys(made)].map((name) => `"${name}"`).join(', ');
    const values = [...columns.map((name) => `t."${name}"`), ...Object.values(made)].join(', ');
    await store.database.write(
      (transaction) => sql(transaction)`
        WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ${IDLE})
        INSERT INTO ${raw(table)} (${raw(into)}) SELECT ${raw(values)} FROM n, ${raw(table)} t`,
    );
  }

  const analyze = () => store.database.write((transaction) => sql(transaction)`ANALYZE`);

  /** Every statement goes to its rows by an index, or reads one that holds live rows only. */
  async function readsLiveRowsOnly(work: Parameters<typeof plansOf>[1]): Promise<void> {
    const plans = await plansOf(store.database, work);
    const growing = plans.filter(({ table }) => GROWING.includes(table));
    expect(growing).not.toEqual([]);
    const scans = growing.filter(
      ({ index, isSearch }) => index === null || (!isSearch && !LIVE.includes(index)),
    );
    expect(scans.map(({ plan }) => plan)).toEqual([]);
  }

  /** Eleven of the sessions that nobody uses. */
  const queueIn = (change: string) =>
    store.database.write(
      (transaction) => sql(transaction)`
        UPDATE sessions ${raw(change)} WHERE session_id IN ('idle 3') OR session_id LIKE 'idle 400_'`,
    );

  const target = (number: number) =>
    ({ type: 'session', sessionId: id(number), principal: null }) as const;

  describe('what is done again and again reads live rows only: [A11]', () => {
    it('the processes that hold claims', () =>
      readsLiveRowsOnly((database) => new Orphans(database, inUse(database)).runners()));

    it('the claims of dead processes', () =>
      readsLiveRowsOnly((database) =>
        new Orphans(database, inUse(database)).heldBy([runner.incarnation, 'b', 'c'], 128),
      ));

    it('open turns without a claim', () =>
      readsLiveRowsOnly((database) =>
        new Orphans(database, inUse(database)).unclaimed(Date.now(), 128),
      ));

    it('the processes that hold surfaces', () =>
      readsLiveRowsOnly((database) => new Processes(database).gateways()));

    it('the sessions in which a turn waits to start, at each scrape', async () => {
      const heads = new QueueHeads(store.database);
      expect(await heads.count(10)).toBe(0);
      await queueIn("SET next_turn_id = 'waits', next_holder = 'holder'");
      expect([await heads.count(10), await heads.count(1_000)]).toEqual([10, 11]);
      await readsLiveRowsOnly((database) => new QueueHeads(database).count(1_000));
      await queueIn('SET next_turn_id = NULL, next_holder = NULL');
    });

    it('the surfaces of dead processes', () =>
      readsLiveRowsOnly((database) =>
        new Processes(database).surfacesOf([gateway.incarnation, 'b', 'c'], 500),
      ));

    it('the claims that a process holds, with each heartbeat', async () => {
      const me = await new Processes(store.database).lease(randomUUID());
      await readsLiveRowsOnly((database) => new Processes(database).heartbeat(me));
    });

    it('answers that were not confirmed', () =>
      readsLiveRowsOnly((database) =>
        new UnconfirmedAnswers(database).of(new Set([runner.incarnation])),
      ));

    it('the sessions of a gateway’s sockets', () =>
      readsLiveRowsOnly((database) => new SurfaceReads(database).glance([id(LONG), id(2), id(3)])));
  });

  describe('what a turn or an attach does goes to its rows by an index:', () => {
    it('a claim, its release, its abandonment and the confirmation of its answer', () =>
      readsLiveRowsOnly(async (database) => {
        const claims = new Claims(database);
        const claim = { target: target(4), turnId: randomUUID(), runner };
        const claimed = await claims.claim(claim);
        const epoch = claimed.type === 'claimed' ? claimed.epoch : Number.NaN;
        const { turnId } = claim;
        const { incarnation } = runner;
        const held = { sessionId: id(4), turnId, epoch };
        await claims.release({ ...held, head: 1, answeredBy: incarnation });
        await claims.abandon(id(4), turnId);
        const answers = new UnconfirmedAnswers(database);
        answers.confirm({ sessionId: id(4), turnId, incarnation });
        await answers.flush();
      }));

    it('the claim of an agent’s live session', () =>
      readsLiveRowsOnly((database) =>
        new Claims(database).claim({
          target: { type: 'live', principal: 'anonymous', agentId: 'agent' },
          turnId: randomUUID(),
          runner,
        }),
      ));

    it('an adoption', () =>
      readsLiveRowsOnly((database) =>
        new Orphans(database, inUse(database)).adopt(
          { sessionId: id(2), turnId: turnOf(2).turn, claim: null },
          runner,
          () => null,
        ),
      ));

    it('freshness', () =>
      readsLiveRowsOnly((database) => {
        const log = { partitions: 1, partitionOf: () => 0, end: () => Promise.resolve(0) };
        const progress = new ProjectionProgress(() => Promise.resolve(new Map([[0, 1_000]])));
        return new Freshness(database, log, progress).latest(id(LONG));
      }));

    it('the fold of a turn, and of an edit that cuts others', () =>
      readsLiveRowsOnly((database) =>
        database.write(async (transaction) => {
          const told = { session: id(LONG), turn: id(77), after: LAST, keeps: 2 * LAST };
          const edit = { session: id(LONG), turn: id(78), after: LAST + 1, keeps: 2 * LAST - 5 };
          const projection = new Projection();
          await projection.apply(transaction, 0, recordsOf([turnStarted(20, told)]));
          await projection.apply(transaction, 0, recordsOf([turnCompleted(20, told)]));
          await projection.apply(transaction, 0, recordsOf([turnStarted(30, edit)]));
          await projection.apply(transaction, 0, recordsOf([turnFailed(30, edit)]));
        }),
      ));
  });

  describe('what is read of a long session goes to its rows by an index:', () => {
    it('a page, wherever it is', () =>
      readsLiveRowsOnly(async (database) => {
        for (const from of [0, IDLE, 2 * IDLE - 100]) {
          const page = await new Transcripts(database).page(
            id(LONG),
            { base: null, baseEnd: 0 },
            from,
            20,
          );
          expect(page).toHaveLength(20);
        }
      }));

    it('what one more turn has brought', () =>
      readsLiveRowsOnly(async (database, forget) => {
        const state = async () => {
          const session = await new SessionReads(store.database).state(id(LONG));
          if (session.phase !== 'open') throw new Error('the session was not opened');
          return session;
        };
        const transcripts = new Transcripts(database);
        const { turns, messages, epoch } = await state();
        await transcripts.load(id(LONG), await state());
        const told = { session: id(LONG), turn: id(79), after: turns, keeps: messages };
        await store.fold(turnStarted(epoch + 10, told), turnCompleted(epoch + 10, told));
        forget();
        const { count } = await transcripts.load(id(LONG), await state());
        expect(count).toBe(messages + 2);
      }));

    it('the conversation as of a turn, and the system messages in force', () =>
      readsLiveRowsOnly(async (database) => {
        const state = await new SessionReads(database).state(id(LONG));
        const transcripts = new Transcripts(database);
        expect((await transcripts.asOf(id(LONG), 300)).entries).toHaveLength(600);
        await transcripts.system(id(LONG), { ...(state as OpenSession), systemTurn: 700 });
      }));

    it('the place after a turn, and after a step', () =>
      readsLiveRowsOnly(async (database) => {
        const ends = new TurnEnds(database);
        expect(await ends.after(id(LONG), 500)).toMatchObject({ number: 500 });
        expect(await ends.atStep(id(LONG), 7, LAST)).toBeNull();
        expect(await ends.lastSnapshot(id(LONG), 500)).toBeNull();
      }));

    it('a page of a principal’s sessions, whatever is asked for', () =>
      readsLiveRowsOnly(async (database) => {
        const list = new SessionList(database);
        const all = {
          ...{ principal: 'anonymous', agentId: null, status: null, label: null, since: null },
        };
        const [first] = await list.page(all, null, 20);
        const after = { createdAt: first?.session.createdAt ?? '', sessionId: 'idle 777' };
        expect(await list.page(all, after, 20)).toHaveLength(20);
        expect(await list.page({ ...all, agentId: 'agent' }, after, 20)).toHaveLength(20);
        expect(await list.page({ ...all, status: 'running' }, after, 20)).toHaveLength(20);
        expect(await list.page({ ...all, label: 'nobody’s' }, null, 20)).toEqual([]);
        expect(await list.page({ ...all, status: 'failed' }, null, 20)).toEqual([]);
      }));

    it('those that somebody suspended', () =>
      readsLiveRowsOnly(async (database) => {
        expect(await new SessionList(database).suspendedSince(Date.now(), 100)).toEqual([]);
      }));

    it('calls of tools', () =>
      readsLiveRowsOnly(async (database) => {
        const reads = new ToolReads(database);
        expect(await reads.rounds(id(LONG), [500, 501])).toHaveLength(2);
        expect(await reads.toTell(id(LONG), ['call 499'])).toHaveLength(1);
        expect(await reads.call(id(LONG), 'call 499')).toMatchObject({ outcome: 'cancelled' });
      }));

    it('snapshots, by their ids and behind one', () =>
      readsLiveRowsOnly(async (database) => {
        const snapshots = new Snapshots(database, new Transcripts(database));
        const place = await snapshots.place(id(LONG), 'called 499');
        expect(place).toMatchObject({ kind: 'pre_action', turnNumber: 500 });
        expect(await snapshots.list(id(LONG), place, 20)).toHaveLength(20);
      }));

    it('one turn', () =>
      readsLiveRowsOnly((database) => new SessionReads(database).turn(id(LONG), 'turn 500')));

    it('what a surface is owed', () =>
      readsLiveRowsOnly(async (database) => {
        const reads = new SurfaceReads(database);
        expect((await reads.view(id(LONG), 19_000)).owed).toHaveLength(100);
        expect(await reads.owed(id(LONG), 500, 600)).toHaveLength(100);
      }));
  });

  it('the indexes of what is live hold no row of an idle session', async () => {
    const live = {
      'sessions WHERE due_at IS NOT NULL': PARKED.count + 2,
      [`sessions WHERE due_at <= ${Date.now()}`]: 2,
      'sessions WHERE attach_id IS NOT NULL': 1,
      'sessions WHERE suspended_at IS NOT NULL': 0,
      'claims WHERE turn_id IS NOT NULL': BUSY.count + 2,
      "claims WHERE unconfirmed <> ''": 0,
    };
    for (const [rows, most] of Object.entries(live)) {
      const counted = await store.database.read(
        (reader) => sql(reader)<{ n: number }>`SELECT COUNT(*) AS n FROM ${raw(rows)}`,
      );
      expect(counted.rows[0]?.n, rows).toBeLessThanOrEqual(most);
    }
  });
});

const inUse = (database: Database) => new Claims(database).inUse;
