import { CompletionClient } from './completion-client.js';
import { completionTargets } from './completion-targets.js';
import type { Target } from './completion-targets.js';
import type { Aim, Report } from './report.js';
import { digits, rounded } from './report.js';
import { DEMO_TOKENS } from './rig.js';
import type { Rig } from './rig.js';
import { interleaved } from './rounds.js';
import type { Contender } from './rounds.js';
import { median, quantile } from './statistics.js';
import type { Spread } from './statistics.js';

const ROUNDS = 9;
interface Slot {
  readonly firstByte: readonly number[];
  readonly total: readonly number[];
  readonly cpu: number;
  readonly requests: number;
}

/**
 * Pass-through and stateful turns against calling the model directly, and against a bare
 * pass-through.
 */
export async function completionsBench(rig: Rig, seconds: number): Promise<Report> {
  const demo = await rig.demoModel();
  const bare = await rig.bareProxy(demo.url);
  const embedded = await rig.embedded('embedded', demo.url);
  const stack = await rig.stack(demo.url);
  rig.say('Measuring completions …');
  const targets = await completionTargets(demo, bare, embedded, stack);
  const slotMs = (seconds * 1000) / (2 * targets.length * (ROUNDS + 1));
  const rows: Row[] = [];
  for (const stream of [false, true]) {
    const contenders = targets.map((target) => contenderOf(target, stream));
    rows.push(...rowsOf(await interleaved(contenders, ROUNDS, slotMs), stream));
  }
  return {
    title: `Completions of ${DEMO_TOKENS} words, one request at a time: ms added to the model's own, and ms of CPU per request`,
    columns: [
      '',
      'first byte p50',
      'p99',
      'in all p50',
      'p99',
      'CPU',
      '× bare: first',
      'in all',
      'CPU',
      'requests',
    ],
    rows: rows.map(cells),
    results: rows.map((row) => ({
      ...row,
      firstByte: roundedSpread(row.firstByte),
      total: roundedSpread(row.total),
    })),
    aims: aimsOf(rows),
  };
}

function contenderOf(target: Target, stream: boolean): Contender<Slot> {
  return {
    name: target.name,
    measure: async (until) => {
      const client = new CompletionClient(target.url);
      const conversation = target.conversation();
      const [firstByte, total]: [number[], number[]] = [[], []];
      const cpuBefore = target.cpu();
      const since = performance.now();
      let requests = 0;
      do {
        const { headers, sbp, counts } = conversation.next();
        const answered = await client.complete(bodyOf(stream, sbp), headers);
        conversation.answered(answered.headers);
        requests += 1;
        if (!counts) continue;
        firstByte.push(answered.firstByte);
        total.push(answered.total);
      } while (!until() || total.length === 0);
      const cpu = (target.cpu() - cpuBefore - target.idle * (performance.now() - since)) / requests;
      await client.close();
      return { firstByte, total, cpu, requests };
    },
  };
}

function bodyOf(stream: boolean, sbp: object | null): object {
  return {
    model: 'gpt-4o',
    messages: [
      {
        role: 'user',
        content: 'Which restaurants near Shibuya station are open late on a Sunday?',
      },
    ],
    temperature: 0.7,
    ...(stream ? { stream: true } : {}),
    ...(sbp === null ? {} : { sbp }),
  };
}

/** A target as all rounds together show it; `direct` is not added to anything. */
interface Row {
  readonly name: string;
  readonly stream: boolean;
  readonly firstByte: Spread;
  readonly total: Spread;
  readonly cpu: number;
  /** Of the p50s and the CPU, to those of the bare pass-through in the same round. */
  readonly timesBare: { readonly firstByte: number; readonly total: number; readonly cpu: number };
  readonly requests: number;
}

function rowsOf(slots: ReadonlyMap<string, readonly Slot[]>, stream: boolean): Row[] {
  const direct = slots.get('direct') ?? [];
  const bare = slots.get('bare') ?? [];
  return [...slots].map(([name, rounds]) => ({
    name,
    stream,
    firstByte:
      rounds === direct
        ? spreadOver(rounds, 'firstByte', null)
        : spreadOver(rounds, 'firstByte', direct),
    total:
      rounds === direct ? spreadOver(rounds, 'total', null) : spreadOver(rounds, 'total', direct),
    cpu: rounded(median(rounds.map(({ cpu }) => cpu))),
    timesBare: {
      firstByte: ratio(
        addedP50s(rounds, 'firstByte', direct),
        addedP50s(bare, 'firstByte', direct),
      ),
      total: ratio(addedP50s(rounds, 'total', direct), addedP50s(bare, 'total', direct)),
      cpu: ratio(
        rounds.map(({ cpu }) => cpu),
        bare.map(({ cpu }) => cpu),
      ),
    },
    requests: rounds.reduce((sum, { requests }) => sum + requests, 0),
  }));
}

type Part = 'firstByte' | 'total';

/** Of each round, by how much its p50 is above the one of `base` in the same round. */
function addedP50s(rounds: readonly Slot[], part: Part, base: readonly Slot[]): number[] {
  return rounds.map((slot, round) => median(slot[part]) - median(base[round]?.[part] ?? []));
}

/**
 * The p50 is the rounds' median; the p99 is of all rounds together, for a round of turns is short.
 */
function spreadOver(rounds: readonly Slot[], part: Part, base: readonly Slot[] | null): Spread {
  const p99 = (slots: readonly Slot[]): number =>
    quantile(
      slots.flatMap((slot) => slot[part]),
      0.99,
    );
  if (base === null)
    return { p50: median(rounds.map((slot) => median(slot[part]))), p99: p99(rounds) };
  return { p50: median(addedP50s(rounds, part, base)), p99: p99(rounds) - p99(base) };
}

/** The rounds' median of what one is to the other. */
function ratio(these: readonly number[], those: readonly number[]): number {
  return rounded(median(these.map((value, round) => value / (those[round] ?? Number.NaN))));
}

function cells({ name, stream, firstByte, total, cpu, timesBare, requests }: Row): string[] {
  const times = name === 'direct' ? [] : [timesBare.firstByte, timesBare.total, timesBare.cpu];
  return [
    `${name}, ${stream ? 'streaming' : 'plain'}${name === 'direct' ? ' (its own)' : ''}`,
    ...[firstByte.p50, firstByte.p99, total.p50, total.p99, cpu].map(digits),
    ...Array.from({ length: 3 }, (_, index) => digits(times[index] ?? Number.NaN)),
    String(requests),
  ];
}

function roundedSpread({ p50, p99 }: Spread): Spread {
  return { p50: rounded(p50), p99: rounded(p99) };
}

function aimsOf(rows: readonly Row[]): Aim[] {
  return rows.flatMap(({ name, stream, timesBare }) => {
    const limits = AIMS[name];
    if (limits === undefined) return [];
    const who = `${name}, ${stream ? 'streaming' : 'plain'}`;
    const common = { comparison: '≤', unit: '×' } as const;
    return [
      { ...common, what: `${who}: added p50 to bare`, got: timesBare.total, aim: limits.total },
      { ...common, what: `${who}: CPU to bare`, got: timesBare.cpu, aim: limits.cpu },
    ];
  });
}

/** By target, × the bare pass-through at most. */
const AIMS: Readonly<Record<string, { readonly total: number; readonly cpu: number }>> = {
  'embedded, pass-through': { total: 2, cpu: 2 },
  'completions service, pass-through': { total: 2, cpu: 2 },
  'embedded, next turn': { total: 7, cpu: 5 },
};
