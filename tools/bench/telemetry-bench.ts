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
import type { SupervisedProcess } from '../supervise/index.js';
import { CompletionClient } from './completion-client.js';
import { cpuTime } from './cpu-time.js';
import type { Report } from './report.js';
import { digits, rounded } from './report.js';
import type { Rig } from './rig.js';
import { interleaved } from './rounds.js';
import type { Contender } from './rounds.js';
import { median } from './statistics.js';

const ROUNDS = 9;
const TURNS = 500;
const SCRAPES_EVERY = 100;
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
    const scraped = await rig.embedded('telemetry-scraped', model);
    const traced = await rig.embedded('telemetry-traced', model, { SBP_OTLP_URL: url });
    const every = { SBP_OTLP_URL: url, SBP_TRACE_PERCENT: '100' };
    const allTraced = await rig.embedded('telemetry-all-traced', model, every);
    rig.say('Measuring turns with metrics and traces …');
    const contenders = [
      contenderOf('no traces', plain, () => Promise.resolve()),
      contenderOf('scraped', scraped, () => scrape(scraped)),
      contenderOf('traced, 10 of 100', traced, () => Promise.resolve()),
      contenderOf('traced, all', allTraced, () => Promise.resolve()),
    ];
    const alone = { counting: countingCpu(), spans: await spansCpu(url) };
    return reportOf(await interleaved(contenders, ROUNDS, 0), alone);
  } finally {
    collector.close().closeAllConnections();
  }
}

/** CPU of one turn, in ms. */
function contenderOf(
  name: string,
  server: SupervisedProcess,
  now: () => Promise<void>,
): Contender<number> {
  return {
    name,
    measure: async () => {
      const client = new CompletionClient(server.url);
      const before = cpuTime(server.pid);
      for (let made = 1; made <= TURNS; made++) {
        const messages = [{ role: 'user', content: 'What is new?' }];
        const sbp = made === 1 ? { force_new_session: true } : {};
        await client.complete({ model: 'gpt-4o', messages, sbp });
        if (made % SCRAPES_EVERY === 0) await now();
      }
      await client.close();
      return (cpuTime(server.pid) - before) / TURNS;
    },
  };
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

/** CPU of as many spans as a turn has, in ms, where all are kept. */
async function spansCpu(url: string): Promise<number> {
  const tracing = await openTracing({ url, service: 'bench', percent: 100 });
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
}

function reportOf(slots: ReadonlyMap<string, readonly number[]>, alone: Alone): Report {
  const { counting, spans } = alone;
  const plain = slots.get('no traces') ?? [];
  const base = median(plain);
  const rows = [...slots].map(([name, rounds]) => {
    // Of each round, because the machine is slower in some of them than in others.
    const ratios = rounds.map((cpu, round) => cpu / (plain[round] ?? Number.NaN));
    return { name, cpu: median(rounds), more: 100 * (median(ratios) - 1) };
  });
  const share = (100 * counting) / (base - counting);
  const ofSpans = (100 * spans) / base;
  const all = [
    ...rows,
    { name: 'metrics and log line alone', cpu: counting, more: share },
    { name: 'spans of a traced turn alone', cpu: spans, more: ofSpans },
  ];
  const aims = [
    { what: 'CPU of a turn that metrics and its line add', got: share },
    { what: 'CPU of a traced turn that its spans are', got: ofSpans },
    { what: 'CPU of a turn that scrapes add', got: moreOf(rows, 'scraped') },
    {
      what: 'CPU of a turn that traces add, as they are by default',
      got: moreOf(rows, 'traced, 10 of 100'),
    },
  ];
  return {
    title: `A next turn, embedded, plain: a scrape each ${SCRAPES_EVERY} turns`,
    columns: ['', 'ms of CPU a turn', '% more'],
    rows: all.map(({ name, cpu, more }) => [name, digits(cpu), digits(more)]),
    results: all.map(({ name, cpu, more }) => ({ name, cpu: rounded(cpu), more: rounded(more) })),
    aims: aims.map((aim) => ({ ...aim, comparison: '≤', aim: 3, unit: '%' })),
  };
}

function moreOf(rows: readonly { readonly name: string; readonly more: number }[], of: string) {
  return rows.find(({ name }) => name === of)?.more ?? Number.NaN;
}
