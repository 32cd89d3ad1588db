import { describe, expect, it } from 'vitest';
import type { ChaosResult } from './chaos-run.js';
import type { Kill, Restart } from './blows.js';
import { DEATHS } from './device.js';
import { objections } from './report.js';
import { OUTAGES } from './outages.js';
import { STEP_NAMES } from './steps.js';
import { allowed, connection } from './testing/example-history.js';

const DEMANDS = { kills: STEP_NAMES.length, eachStep: 1, eachRestart: 1, eachOutage: 1, turns: 0 };
const MIB = 1024 * 1024;

function restart(moment: Restart['moment'], handedOver: readonly string[]): Restart {
  return {
    at: 1,
    endedAt: 2,
    victim: 'completions-1',
    kind: 'completions',
    moment,
    pid: 1,
    running: 1,
    handedOver,
  };
}

const RESTARTS = [
  restart('any', []),
  restart('short turn', []),
  restart('long turn', ['session turn']),
];

/** One that died at a call, and one that died after a result. */
const SURFACES = DEATHS.map((diedAt) => ({
  ...connection(diedAt, 1, []),
  diedAt,
}));

function kill(step: Kill['step'], appends: number): Kill {
  return {
    at: 1,
    victim: 'gateway-1',
    pid: 1,
    step,
    hand: { claims: [], surfaces: 0, appends, folds: 0, step },
  };
}

function result(change: Partial<ChaosResult> = {}): ChaosResult {
  const kills = STEP_NAMES.map((step) => kill(step, 1));
  return {
    topology: 'stack',
    kinds: [{ name: 'completions', runsTurns: true }],
    kills,
    restarts: RESTARTS,
    outages: OUTAGES.map((kind) => ({ kind, victim: 'kafka-1', at: 1, endedAt: 2 })),
    memory: { 'completions-1': 300 * MIB },
    adoptions: [],
    crashes: [],
    conversations: [{ ...allowed(), connections: SURFACES }],
    violations: [],
    ...change,
  };
}

describe('a chaos run passes', () => {
  it('when it did all that was demanded and no promise was broken', () => {
    expect(objections([result()], DEMANDS)).toEqual([]);
  });
});

describe('a chaos run fails', () => {
  it.each<[string, RegExp, ChaosResult]>([
    [
      'a promise was broken',
      /lost/,
      result({ violations: [{ rule: 'lost', conversation: 'a', detail: 'b' }] }),
    ],
    [
      'a step was not hit',
      /T4/,
      result({
        kills: [...STEP_NAMES.filter((step) => step !== 'T4'), null].map((step) => kill(step, 1)),
      }),
    ],
    ['there were too few kills', /1 kills, not \d+/, result({ kills: [kill('T1', 1)] })],
    [
      'fewer than half of the kills interrupted work',
      /interrupted/,
      result({
        kills: [...result().kills, ...result().kills.map(() => kill(null, 0)), kill(null, 0)],
      }),
    ],
    [
      'a kind of process was not stopped at one of its moments',
      /completions was stopped 0 times \(short turn\), not 1/,
      result({ restarts: RESTARTS.filter(({ moment }) => moment !== 'short turn') }),
    ],
    [
      'something was never taken away',
      /0 outages of the kind "Postgres", not 1/,
      result({ outages: result().outages.filter(({ kind }) => kind !== 'Postgres') }),
    ],
    [
      'no turn was ever handed over',
      /no turn was handed over/,
      result({ restarts: RESTARTS.map((each) => ({ ...each, handedOver: [] })) }),
    ],
    [
      'a process held too much in memory',
      /completions-1 held 700 MiB in memory/,
      result({ memory: { 'completions-1': 700 * MIB } }),
    ],
    [
      'a process ended by itself',
      /exit code 1/,
      result({ crashes: [{ name: 'a', pid: 1, code: 1, signal: null, expected: false }] }),
    ],
  ])('when %s', (_title, objection, failed) => {
    expect(objections([failed], DEMANDS).join('\n')).toMatch(objection);
  });

  it('when no surface died at a call', () => {
    const conversations = [{ ...allowed(), connections: SURFACES.slice(1) }];
    expect(objections([result({ conversations })], DEMANDS)).toEqual([
      'stack: no surface died at a call',
    ]);
  });

  it('when there were too few turns', () => {
    expect(objections([result()], { ...DEMANDS, turns: 200 })).toEqual(['5 turns, not 200']);
  });
});
