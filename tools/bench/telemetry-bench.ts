import { randomBytes } from 'node:crypto';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import {
  HttpMetrics,
  LogMetrics,
  Metrics,
  TurnMetrics,
  createLogger,
  openTracing,
} from '#libs/telemetry';
import { pause } from '#libs/timing';
import type { SupervisedProcess } from '../supervise/index.js';
import { CompletionClient } from './completion-client.js';
import { cpuTime } from './cpu-time.js';
import type { Report } from './report.js';
import { digits, rounded } from './report.js';
import type { Rig } from './rig.js';
import { interleaved } from './rounds.js';
import type { Contender } from './rounds.js';
import { median } from './statistics.js';

const ROUNDS = 15;
const TURNS = 300;
/** Before them: a server that had nothing to do for a while is slower at first. */
const WARMING_TURNS = 100;
const SCRAPES_EVERY = 100;
const KEPT_EVERY = 10;
/** Until the last spans of a slot have been sent, in ms: they wait for a second at most. */
const SENT_MS = 1_500;
/** How often what a turn counts is repeated, to be measured by itself. */
const REPEATS = 100_000;
/** Of a turn: its request and its parts, appends and folds. */
const SPANS = 11;
const SPANNED_TURNS = 20_000;
const SENT_EVERY = 50;

/** What watching costs: CPU of a turn, embedded, the next of a session, plain. */
export async function telemetryBench(rig: Rig): Promise<Report> {
  const collector = createServer((request, response) => {
    request.resume().on('end', () => response.end('{}'));
  });
  await new Promise<void>((resolve) => collector.listen(0, '127.0.0.1', resolve));
  const url = `http://127.0.0.1:${(collector.address() as AddressInfo).port}`;
  try {
    const { url: model } = await rig.echoModel();
    const plain = await rig.embedded('telemetry-off', model);
    const traced = await rig.embedded('telemetry-traced', model, { SBP_OTLP_URL: url });
    rig.say('Measuring turns with metrics and traces …');
    // By turns, so that each slot finds a server that had nothing to do during the one before.
    const contenders: readonly Contender<number>[] = [
      { name: NONE_KEPT, measure: () => turnCpu(traced, { isKept: () => false }) },
      { name: PLAIN, measure: () => turnCpu(plain, {}) },
      { name: SOME_KEPT, measure: () => turnCpu(traced, { isKept: (n) => n % KEPT_EVERY === 0 }) },
      { name: SCRAPED, measure: () => turnCpu(plain, { scrapes: true }) },
      { name: ALL_KEPT, measure: () => turnCpu(traced, { isKept: () => true }) },
    ];
    const alone = {
      counting: countingCpu(),
      spans: await spansCpu(url, 100),
      unkeptSpans: await spansCpu(url, 0),
    };
    return reportOf(await interleaved(contenders, ROUNDS, 0), alone);
  } finally {
    collector.close().closeAllConnections();
  }
}

const PLAIN = 'no traces';
const SCRAPED = 'scraped';
const NONE_KEPT = 'traces on, none kept';
const SOME_KEPT = 'traced, 10 of 100';
const ALL_KEPT = 'traced, all';

interface Watching {
  readonly scrapes?: boolean;
  /** Whether the caller wants the trace of its n-th turn to be kept; absent: it does not say. */
  readonly isKept?: (n: number) => boolean;
}

/** CPU of one turn, in ms, with all that is done for it later. */
async function turnCpu(
  server: SupervisedProcess,
  { scrapes = false, isKept }: Watching,
): Promise<number> {
  const client = new CompletionClient(server.url);
  let before = 0;
  for (let made = 1; made <= WARMING_TURNS + TURNS; made++) {
    const messages = [{ role: 'user', content: 'What is new?' }];
    const sbp = made === 1 ? { force_new_session: true } : {};
    const headers = isKept === undefined ? {} : { traceparent: traceparent(isKept(made)) };
    await client.complete({ model: 'gpt-4o', messages, sbp }, headers);
    if (scrapes && made % SCRAPES_EVERY === 0) await scrape(server);
    if (made === WARMING_TURNS) before = cpuTime(server.pid);
  }
  await client.close();
  await pause(SENT_MS);
  return (cpuTime(server.pid) - before) / TURNS;
}

/** Of a caller whose trace this is. */
function traceparent(isKept: boolean): string {
  const [trace, span] = [randomBytes(16).toString('hex'), randomBytes(8).toString('hex')];
  return `00-${trace}-${span}-${isKept ? '01' : '00'}`;
}

async function scrape({ url }: SupervisedProcess): Promise<void> {
  const response = await fetch(`${url}/metrics`);
  if (!response.ok) throw new Error(`/metrics: ${response.status}`);
  await response.text();
}

/** CPU of all that a turn counts and logs, in ms: it cannot be turned off. */
function countingCpu(): number {
  const metrics = new Metrics();
  const http = new HttpMetrics(metrics);
  const turns = new TurnMetrics(metrics);
  const log = new LogMetrics(metrics, () => null);
  const logger = createLogger('bench', 'info', { write: () => undefined });
  const before = process.cpuUsage();
  for (let made = 0; made < REPEATS; made++) {
    http.begun();
    turns.begun();
    log.appended(1.5);
    log.appended(1.5);
    turns.ended({
      ...{ status: 'completed', entry: 'at-once', model: 'gpt-4o', waitedMs: 1 },
      ...{ firstTokenMs: 4, modelMs: 5, totalMs: 9 },
      ...{ promptTokens: 100, completionTokens: 20, costUsd: 0.01 },
    });
    http.ended('/v1/chat/completions', 'POST', 200, 9);
    logger.info({ status: 'completed', entry: 'at-once', total_ms: 9 }, 'A turn has ended');
  }
  const { user, system } = process.cpuUsage(before);
  return (user + system) / 1_000 / REPEATS;
}

/** CPU of as many spans as a turn has, in ms. */
async function spansCpu(url: string, percent: number): Promise<number> {
  const tracing = await openTracing({ url, service: 'bench', percent });
  const before = process.cpuUsage();
  for (let made = 0; made < SPANNED_TURNS; made++) {
    await tracing.span('request', async () => {
      for (let span = 1; span < SPANS; span++) {
        await tracing.span('part', async (part) => {
          part.set({ 'sbp.session_id': 'the id of a session', 'sbp.events': 1 });
          await Promise.resolve();
        });
      }
    });
    // The batches are sent meanwhile.
    if (made % SENT_EVERY === 0) await new Promise((resolve) => setTimeout(resolve, 5));
  }
  const { user, system } = process.cpuUsage(before);
  await tracing.close();
  return (user + system) / 1_000 / SPANNED_TURNS;
}

/** What watching costs by itself, in ms of CPU a turn. */
interface Alone {
  readonly counting: number;
  readonly spans: number;
  readonly unkeptSpans: number;
}

type Slots = ReadonlyMap<string, readonly number[]>;

function reportOf(slots: Slots, { counting, spans, unkeptSpans }: Alone): Report {
  const base = cpuOf(slots, PLAIN);
  // One server is compared with itself: two of the same kind differ by more than what is measured.
  const scraped = moreOf(slots, SCRAPED, PLAIN);
  const someKept = moreOf(slots, SOME_KEPT, NONE_KEPT);
  const allKept = moreOf(slots, ALL_KEPT, NONE_KEPT);
  const share = (100 * counting) / (base - counting);
  const ofSpans = (100 * spans) / base;
  const ofUnkept = (100 * unkeptSpans) / base;
  const all = [
    { name: PLAIN, cpu: base, more: 0, than: '' },
    { name: SCRAPED, cpu: cpuOf(slots, SCRAPED), more: scraped, than: PLAIN },
    { name: NONE_KEPT, cpu: cpuOf(slots, NONE_KEPT), more: 0, than: '' },
    { name: SOME_KEPT, cpu: cpuOf(slots, SOME_KEPT), more: someKept, than: NONE_KEPT },
    { name: ALL_KEPT, cpu: cpuOf(slots, ALL_KEPT), more: allKept, than: NONE_KEPT },
    { name: 'metrics and log line alone', cpu: counting, more: share, than: PLAIN },
    { name: 'spans of a kept trace alone', cpu: spans, more: ofSpans, than: PLAIN },
    { name: 'spans of another trace alone', cpu: unkeptSpans, more: ofUnkept, than: PLAIN },
  ];
  const aims = [
    { what: 'CPU of a turn that metrics and its line add', got: share },
    { what: 'CPU of a turn that scrapes add', got: scraped },
    {
      what: 'CPU of a turn that traces add, as they are by default',
      got: someKept + ofUnkept,
    },
    { what: 'CPU of a turn that its trace adds', got: allKept + ofUnkept },
  ];
  return {
    title: `A next turn, embedded, plain: a scrape each ${SCRAPES_EVERY} turns`,
    columns: ['', 'ms of CPU a turn', '% more', 'than'],
    rows: all.map(({ name, cpu, more, than }) => [name, digits(cpu), digits(more), than]),
    results: all.map(({ name, cpu, more }) => ({ name, cpu: rounded(cpu), more: rounded(more) })),
    aims: aims.map((aim) => ({ ...aim, comparison: '≤', aim: 3, unit: '%' })),
  };
}

function cpuOf(slots: Slots, name: string): number {
  return median(slots.get(name) ?? []);
}

/** In %, the median of what each round shows: the machine is slower in some of them. */
function moreOf(slots: Slots, name: string, than: string): number {
  const others = slots.get(than) ?? [];
  const ratios = (slots.get(name) ?? []).map((cpu, round) => cpu / (others[round] ?? Number.NaN));
  return 100 * (median(ratios) - 1);
}
