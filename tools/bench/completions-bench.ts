import { randomUUID } from 'node:crypto';
import type { SupervisedProcess } from '../supervise/index.js';
import { CompletionClient } from './completion-client.js';
import type { ResponseHeaders } from './completion-client.js';
import { cpuTime, cpuTimeOfTree } from './cpu-time.js';
import type { Aim, Report } from './report.js';
import { digits, rounded } from './report.js';
import { DEMO_TOKENS } from './rig.js';
import type { Rig } from './rig.js';
import { interleaved } from './rounds.js';
import type { Contender } from './rounds.js';
import type { StackProgram } from './stack-program.js';
import { median, medianSpread, spreadOf } from './statistics.js';
import type { Spread } from './statistics.js';

const ROUNDS = 5;
/** A session that goes on is left after so many turns: its transcript is sent to the model each time. */
const TURNS_PER_SESSION = 20;
const IDLE_MS = 3000;

/** Who answers, and what it costs there. */
interface Target {
  readonly name: string;
  readonly url: string;
  /** CPU time of the server's processes so far, in ms. */
  readonly cpu: () => number;
  /** CPU ms that they use per ms without any request: it is no request's. */
  readonly idle: number;
  readonly conversation: () => Conversation;
}

/** What is asked, request by request; it sees each answer's headers. */
interface Conversation {
  next(): { readonly headers: Readonly<Record<string, string>>; readonly sbp: object | null; readonly counts: boolean };
  answered(headers: ResponseHeaders): void;
}

interface Slot {
  readonly firstByte: Spread;
  readonly total: Spread;
  readonly cpu: number;
  readonly requests: number;
}

/** Pass-through and stateful turns against calling the model directly, and against a bare pass-through. */
export async function completionsBench(rig: Rig, seconds: number): Promise<Report> {
  const demo = await rig.demoModel();
  const bare = await rig.bareProxy(demo.url);
  const embedded = await rig.embedded('embedded', demo.url);
  const stack = await rig.stack(demo.url);
  rig.say('Measuring completions …');
  const targets = await targetsOf(demo, bare, embedded, stack);
  const slotMs = (seconds * 1000) / (2 * targets.length * (ROUNDS + 1));
  const rows: Row[] = [];
  for (const stream of [false, true]) {
    const contenders = targets.map((target) => contenderOf(target, stream));
    rows.push(...rowsOf(await interleaved(contenders, ROUNDS, slotMs), stream));
  }
  return {
    title: `Completions of ${DEMO_TOKENS} words, one request at a time: ms added to the model's own, and ms of CPU per request`,
    columns: ['', 'first byte p50', 'p99', 'in all p50', 'p99', 'CPU', '× bare: first', 'in all', 'CPU', 'requests'],
    rows: rows.map(cells),
    results: rows.map((row) => ({ ...row, firstByte: roundedSpread(row.firstByte), total: roundedSpread(row.total) })),
    aims: aimsOf(rows),
  };
}

async function targetsOf(
  demo: SupervisedProcess,
  bare: SupervisedProcess,
  embedded: SupervisedProcess,
  stack: StackProgram,
): Promise<Target[]> {
  const pids = stack.list().filter(({ name }) => name !== 'kafka-1' && name !== 'postgres');
  const cpuOf = (pid: number) => () => cpuTime(pid);
  const services = (): number => pids.reduce((sum, { pid }) => sum + cpuTime(pid), 0);
  const everything = (): number =>
    services() + cpuTime(stack.process('kafka-1').pid) + cpuTimeOfTree(stack.process('postgres').pid);
  const completions = stack.process('completions-1');
  const front = stack.process('front');
  const passing = (): number => cpuTime(completions.pid) + cpuTime(front.pid);
  const target = async (
    name: string,
    url: string,
    cpu: () => number,
    conversation: () => Conversation = untracked,
  ): Promise<Target> => ({ name, url, cpu, idle: await idleShare(cpu), conversation });
  return Promise.all([
    target('direct', demo.url, cpuOf(demo.pid)),
    target('bare', bare.url, cpuOf(bare.pid)),
    target('embedded, pass-through', embedded.url, cpuOf(embedded.pid)),
    target('embedded, turn of a new session', embedded.url, cpuOf(embedded.pid), newSessions),
    target('embedded, next turn', embedded.url, cpuOf(embedded.pid), oneSession),
    target('completions service, pass-through', completions.url, cpuOf(completions.pid)),
    target('stack, pass-through', stack.url, passing),
    target('stack, turn of a new session', stack.url, services, newSessions),
    target('stack, next turn', stack.url, services, oneSession),
    target('stack with Kafka and Postgres, next turn', stack.url, everything, oneSession),
  ]);
}

async function idleShare(cpu: () => number): Promise<number> {
  const before = cpu();
  const since = performance.now();
  await new Promise((resolve) => setTimeout(resolve, IDLE_MS));
  return (cpu() - before) / (performance.now() - since);
}

function untracked(): Conversation {
  return { next: () => ({ headers: {}, sbp: null, counts: true }), answered: () => undefined };
}

function newSessions(): Conversation {
  return {
    next: () => ({ headers: { 'x-agent-id': randomUUID() }, sbp: {}, counts: true }),
    answered: () => undefined,
  };
}

/** The turn that opens a session does not count. */
function oneSession(): Conversation {
  let token: string | null = null;
  let turns = 0;
  return {
    next: () =>
      token === null || turns >= TURNS_PER_SESSION
        ? ((turns = 0), { headers: { 'x-agent-id': randomUUID() }, sbp: {}, counts: false })
        : { headers: { 'x-session-token': token }, sbp: {}, counts: true },
    answered: (headers) => {
      turns += 1;
      token = String(headers['x-session-token']);
    },
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
      return { firstByte: spreadOf(firstByte), total: spreadOf(total), cpu, requests };
    },
  };
}

function bodyOf(stream: boolean, sbp: object | null): object {
  return {
    model: 'gpt-4o',
    messages: [{ role: 'user', content: 'Which restaurants near Shibuya station are open late on a Sunday?' }],
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
  const added = (rounds: readonly Slot[], part: 'firstByte' | 'total'): Spread[] =>
    rounds.map((slot, round) => minus(slot[part], direct[round]?.[part]));
  const ratio = (these: readonly number[], those: readonly number[]): number =>
    median(these.map((value, round) => value / (those[round] ?? Number.NaN)));
  const p50s = (spreads: readonly Spread[]): number[] => spreads.map(({ p50 }) => p50);
  return [...slots].map(([name, rounds]) => {
    const isDirect = name === 'direct';
    return {
      name,
      stream,
      firstByte: medianSpread(isDirect ? rounds.map((slot) => slot.firstByte) : added(rounds, 'firstByte')),
      total: medianSpread(isDirect ? rounds.map((slot) => slot.total) : added(rounds, 'total')),
      cpu: rounded(median(rounds.map(({ cpu }) => cpu))),
      timesBare: {
        firstByte: rounded(ratio(p50s(added(rounds, 'firstByte')), p50s(added(bare, 'firstByte')))),
        total: rounded(ratio(p50s(added(rounds, 'total')), p50s(added(bare, 'total')))),
        cpu: rounded(
          ratio(
            rounds.map(({ cpu }) => cpu),
            bare.map(({ cpu }) => cpu),
          ),
        ),
      },
      requests: rounds.reduce((sum, { requests }) => sum + requests, 0),
    };
  });
}

function minus(spread: Spread, base: Spread | undefined): Spread {
  return { p50: spread.p50 - (base?.p50 ?? Number.NaN), p99: spread.p99 - (base?.p99 ?? Number.NaN) };
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
  return rows
    .filter(({ name }) => name === 'embedded, pass-through' || name === 'completions service, pass-through')
    .flatMap(({ name, stream, timesBare }) => {
      const who = `${name}, ${stream ? 'streaming' : 'plain'}`;
      const aim = { comparison: '≤', aim: 2, unit: '×' } as const;
      return [
        { ...aim, what: `${who}: added p50 to bare`, got: timesBare.total },
        { ...aim, what: `${who}: CPU to bare`, got: timesBare.cpu },
      ];
    });
}
