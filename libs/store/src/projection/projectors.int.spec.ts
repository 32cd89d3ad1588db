import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest';
import { id, sessionOpened, turnStarted } from '#libs/domain/testing';
import { sql } from '#libs/sql';
import type { LogEvent } from '#libs/protocol';
import { openTestStore, recordsOf } from '#libs/store/testing';
import type { TestStore } from '#libs/store/testing';
import { Projection } from './projection.js';
import type { FoldRecord } from './record-fold.js';

/** Anonymous sessions of one agent are in all partitions, and share one row of `live_sessions`. */
const AGENTS = Array.from({ length: 150 }, (_, number) => `agent ${number}`);
const ROUNDS = 8;

let store: TestStore;

beforeAll(async () => {
  store = await openTestStore('postgres');
});
afterAll(() => store.close());
beforeEach(() => store.clear());

/** New sessions of these agents, in this order. */
function opened(agents: readonly string[], first: number, epoch: number): readonly FoldRecord[] {
  const events = agents.flatMap((agent, at): LogEvent[] => {
    const session = id(first + at);
    const opening = sessionOpened(epoch, { session });
    return [
      { ...opening, data: { ...opening.data, agent_id: agent } },
      turnStarted(epoch, { session, turn: id(0x900000 + first + at) }),
    ];
  });
  return recordsOf(events);
}

it('projectors of several partitions that open sessions of the same agents do not deadlock', async () => {
  const orders = [AGENTS, AGENTS.toReversed(), [...AGENTS.slice(75), ...AGENTS.slice(0, 75)]];
  const projection = new Projection();
  await Promise.all(
    orders.map(async (agents, partition) => {
      for (let round = 0; round < ROUNDS; round++) {
        const epoch = 100 * round + 10 + partition;
        const first = 1_000 * (1 + round * orders.length + partition);
        await store.database.write((transaction) =>
          projection.apply(transaction, partition, opened(agents, first, epoch)),
        );
      }
    }),
  );
  const last = 100 * (ROUNDS - 1) + 10 + orders.length - 1;
  const live = await store.rows('live_sessions');
  expect(live.map((row) => row['opened_epoch'])).toEqual(AGENTS.map(() => last));
  expect(await store.rows('sessions')).toHaveLength(AGENTS.length * orders.length * ROUNDS);
});

it('a projector that waits for another one’s agent has not locked what that one needs next', async () => {
  const projection = new Projection();
  const [one = '', two = ''] = [...AGENTS].sort();
  let other: Promise<unknown> = Promise.resolve();
  await store.database.write(async (transaction) => {
    await projection.apply(transaction, 0, opened([one], 1_000, 10));
    // It comes to a stop at the first agent: had it written the second one before, the two would
    // wait for each other.
    other = store.database.write((theirs) =>
      projection.apply(theirs, 1, opened([two, one], 2_000, 20)),
    );
    await untilSomebodyWaits();
    await projection.apply(transaction, 0, opened([two], 3_000, 15));
  });
  await other;
  expect(await store.rows('live_sessions')).toMatchObject([
    { agent_id: one, opened_epoch: 20 },
    { agent_id: two, opened_epoch: 20 },
  ]);
});

async function untilSomebodyWaits(): Promise<void> {
  for (;;) {
    const { rows } = await store.database.read(
      (reader) => sql(reader)`
        SELECT pid FROM pg_stat_activity
        WHERE datname = current_database() AND wait_event_type = 'Lock'`,
    );
    if (rows.length > 0) return;
  }
}
