import { readFileSync, readdirSync } from 'node:fs';
import fc from 'fast-check';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { z } from 'zod';
import type { Evolution, SessionState } from '#libs/domain';
import { evolve } from '#libs/domain';
import { id, sessionOpened, surfaceAttached, surfaceDetached } from '#libs/domain/testing';
import type { FoldedEvent, JsonObject } from '#libs/protocol';
import { EventCodec, LogEvent, SurfaceDetached, eventCodec } from '#libs/protocol';
import {
  DIALECTS,
  openTestStore,
  randomBatches,
  readBy,
  recordsOf,
  tablesOf,
} from '#libs/store/testing';
import type { TestStore } from '#libs/store/testing';
import { Projection } from '../projection/projection.js';
import { Quarantine } from './quarantine.js';

/** A record's key and text. */
type Written = readonly [string, string];

/*
 * A version that is to come: it knows one type of event more, and another form of one that there
 * is. Of the present version it reads what the golden fixtures are.
 */

const SessionStarred = z.object({
  ...SurfaceDetached.shape,
  type: z.literal('session.starred'),
  data: z.object({ stars: z.int() }),
});
const SurfaceDetached2 = z.object({
  ...SurfaceDetached.shape,
  schema: z.literal(2),
  data: z.object({ attach_id: z.string(), why: z.object({ reason: z.string() }) }),
});
type NewerEvent =
  | Exclude<FoldedEvent, { type: 'surface.detached' }>
  | z.infer<typeof SessionStarred>
  | z.infer<typeof SurfaceDetached2>;

const newerCodec = new EventCodec(
  z.discriminatedUnion('type', [
    SessionStarred,
    SurfaceDetached2,
    ...LogEvent.options.filter((option) => option.shape.type.value !== 'surface.detached'),
  ]),
  [
    {
      type: 'surface.detached',
      schema: 1,
      up: (event: JsonObject) => {
        const { reason, ...data } = event['data'] as { readonly reason: string };
        return { ...event, schema: 2, data: { ...data, why: { reason } } };
      },
    },
  ],
);

function newerEvolve(state: SessionState, event: NewerEvent): Evolution<SessionState> {
  switch (event.type) {
    case 'session.starred':
      return {
        state: state.phase === 'open' ? { ...state, updatedAt: event.occurred_at } : state,
        changes: [],
        poke: [],
      };
    case 'surface.detached': {
      const { attach_id, why } = event.data;
      const data = { attach_id, reason: why.reason };
      return evolve(state, { ...event, schema: 1, data } as FoldedEvent);
    }
    default:
      return evolve(state, event);
  }
}

const present = new Projection();
const newer = new Projection((state, event) => newerEvolve(state, event as unknown as NewerEvent));

/** Written by the newer version. */
function starred(session: string): Written {
  const envelope = surfaceDetached(id(1), { session });
  const star = { ...envelope, type: 'session.starred', data: { stars: 3 } };
  return [session, JSON.stringify({ ...star, occurred_at: '2030-01-01T00:00:00.000Z' })];
}

function detachedAnew(attach: string, session: string): Written {
  const event = surfaceDetached(attach, { session });
  const data = { attach_id: attach, why: { reason: event.data.reason } };
  return [session, JSON.stringify({ ...event, schema: 2, data })];
}

function written(...events: readonly LogEvent[]): readonly Written[] {
  return events.map((event) => [event.session_id, JSON.stringify(event)]);
}

const FOLDER = new URL('../../../protocol/fixtures/events/', import.meta.url);

/** The golden fixtures of all events of schema 1, as a session's log: its opening first. */
function fixturesOf(session: string): readonly Written[] {
  const files = readdirSync(FOLDER).sort((a) => (a === 'session.opened.v1.json' ? -1 : 0));
  const values = files.map((file) => {
    const { accept } = JSON.parse(readFileSync(new URL(file, FOLDER), 'utf8')) as {
      readonly accept: readonly { readonly value?: JsonObject }[];
    };
    return accept[0]?.value;
  });
  const events = values.map((value) => LogEvent.parse({ ...value, session_id: session }));
  return written(...events);
}

/** Sessions 1 to 4, whose events lie between one another's. */
function mixedLog(): readonly Written[] {
  const attached = (number: number) => [
    sessionOpened(10, { session: id(number) }),
    surfaceAttached(id(100 + number), { session: id(number) }),
  ];
  const detached = (number: number) => surfaceDetached(id(100 + number), { session: id(number) });
  const logs: readonly (readonly Written[])[] = [
    fixturesOf(id(1)),
    [...fixturesOf(id(2)).slice(0, 9), starred(id(2)), ...fixturesOf(id(2)).slice(9)],
    [...written(...attached(3)), detachedAnew(id(103), id(3)), starred(id(3))],
    written(...attached(4), detached(4)),
  ];
  const longest = Math.max(...logs.map(({ length }) => length));
  return Array.from({ length: longest }, (_, at) =>
    logs.flatMap((log) => log.slice(at, at + 1)),
  ).flat();
}

describe.each(DIALECTS)('services of two versions side by side on %s', (dialect) => {
  let store: TestStore;

  beforeAll(async () => {
    store = await openTestStore(dialect);
  });
  afterAll(() => store.close());
  beforeEach(() => store.clear());

  it('fold the same of what the present version writes, by the golden fixtures', async () => {
    const log = [...fixturesOf(id(1)), ...fixturesOf(id(2))];
    await store.apply(readBy(log), present);
    const before = await tablesOf(store);
    expect(before['quarantined_sessions']).toEqual([]);
    await store.clear();
    await store.apply(readBy(log, { codec: newerCodec }), newer);
    expect(await tablesOf(store)).toEqual(before);
  });

  it('quarantine exactly the sessions with what only the newer one knows, which then folds them', async () => {
    const log = mixedLog();
    const { quarantined } = await store.apply(readBy(log), present);
    expect(quarantined.map(({ sessionId, reason }) => [sessionId, reason]).sort()).toEqual([
      [id(2), 'unknown_type'],
      [id(3), 'unknown_schema'],
    ]);
    const well = await tablesOf(
      store,
      (row) => ![id(2), id(3)].includes(String(row['session_id'])),
    );

    await new Quarantine(store.database, newer, newerCodec).retryPartition(0, () => undefined);
    const upgraded = await tablesOf(store);
    await store.clear();
    await store.apply(readBy(log, { codec: newerCodec }), newer);
    expect(await tablesOf(store)).toEqual(upgraded);
    expect(upgraded['quarantined_sessions']).toEqual([]);
    expect(upgraded['sessions']).toMatchObject([{}, {}, { attach_id: null }, { attach_id: null }]);

    await store.clear();
    const without = log.filter(([session]) => session !== id(2) && session !== id(3));
    await store.apply(readBy(without), present);
    const healthy = await tablesOf(store);
    expect({ ...well, live_sessions: [] }).toEqual({ ...healthy, live_sessions: [] });
  });
});

/** Reads events whose data is wrapped as of schema 2, which no event of today is. */
const unwrapping = new EventCodec(
  LogEvent,
  LogEvent.options.map((option) => ({
    type: option.shape.type.value,
    schema: 2,
    up: ({ wrapped, ...event }: JsonObject) => ({ ...event, schema: 1, data: wrapped }),
  })),
);

type Harm = 'none' | 'later' | 'garbage';

function harmed({ data, ...event }: LogEvent, harm: Harm): Written {
  const texts: Readonly<Record<Harm, () => string>> = {
    none: () => JSON.stringify({ ...event, data }),
    later: () => JSON.stringify({ ...event, schema: 2, wrapped: data }),
    garbage: () => `{"id":"${event.id}","type":${JSON.stringify(event.type)}`,
  };
  return [event.session_id, texts[harm]()];
}

describe.each(DIALECTS)('random logs with records that cannot be read, on %s', (dialect) => {
  let store: TestStore;

  beforeAll(async () => {
    store = await openTestStore(dialect);
  });
  afterAll(() => store.close());

  const runs = { numRuns: dialect === 'sqlite' ? 15 : 4 };
  const seeds = fc.integer({ min: 1, max: 1_000_000 });
  const harms = (...kinds: readonly Harm[]) =>
    fc.array(fc.constantFrom<Harm>(...Array.from<Harm>({ length: 40 }).fill('none'), ...kinds), {
      minLength: 40,
      maxLength: 200,
      size: 'max',
    });
  const cuts = fc.array(fc.integer({ min: 1, max: 40 }), { minLength: 5, maxLength: 30 });

  async function applyInBatches(
    log: readonly Written[],
    sizes: readonly number[],
    codec = eventCodec,
  ): Promise<void> {
    await store.clear();
    let from = 0;
    for (const size of [...sizes, log.length]) {
      await store.apply(readBy(log.slice(from, from + size), { from, codec }));
      from = Math.min(log.length, from + size);
    }
  }

  it('give healthy sessions the rows that they have without the others, wherever batches are cut', async () => {
    const check = async (seed: number, drawn: readonly Harm[], sizes: readonly number[]) => {
      const events = randomBatches(seed).flat();
      const sick = new Set<string>();
      const log = events.map((event, at) => {
        const harm = drawn[at % (3 * drawn.length)] ?? 'none';
        if (harm !== 'none') sick.add(event.session_id);
        return harmed(event, harm);
      });
      await applyInBatches(log, sizes);
      const all = await tablesOf(store);
      const quarantined = (all['quarantined_sessions'] ?? []).map((row) => row['session_id']);
      expect(quarantined.sort()).toEqual([...sick].sort());
      const isWell = ({ session_id, source_id }: Readonly<Record<string, unknown>>) =>
        ![session_id, source_id].some((session) => sick.has(String(session)));
      const well = await tablesOf(store, isWell);
      await applyInBatches(log, [log.length]);
      expect(await tablesOf(store)).toEqual(all);

      await store.clear();
      await store.apply(recordsOf(events.filter((event) => !sick.has(event.session_id))));
      // Which session of an agent is the live one all of them decide together.
      expect({ ...well, live_sessions: [] }).toEqual({
        ...(await tablesOf(store)),
        live_sessions: [],
      });
    };
    await fc.assert(fc.asyncProperty(seeds, harms('later', 'garbage'), cuts, check), runs);
  });

  it('have, once a version that reads them has tried again, the rows of the whole log', async () => {
    const upgraded = new Quarantine(store.database, new Projection(), unwrapping);
    const check = async (seed: number, drawn: readonly Harm[], sizes: readonly number[]) => {
      const events = randomBatches(seed).flat();
      const log = events.map((event, at) => harmed(event, drawn[at % drawn.length] ?? 'none'));
      await applyInBatches(log, sizes);
      await upgraded.retryPartition(0, () => undefined);
      const repaired = await tablesOf(store);
      await store.clear();
      await store.apply(recordsOf(events));
      expect(repaired).toEqual(await tablesOf(store));
    };
    await fc.assert(fc.asyncProperty(seeds, harms('later'), cuts, check), runs);
  });
});
