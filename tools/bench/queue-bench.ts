import { randomUUID } from 'node:crypto';
import { CompletionClient } from './completion-client.js';
import type { Report } from './report.js';
import { digits, rounded } from './report.js';
import type { Rig } from './rig.js';
import { median, quantile } from './statistics.js';

/** Turns that wait behind each long one. */
const WAITING = 4;
/** The joined turn says a word every so many ms, for so many words. */
const JOINED = { words: 40, intervalMs: 25 };

interface Turn {
  readonly turn_id: string;
  readonly created_at: string;
  readonly ended_at: string | null;
}

interface Server {
  readonly who: string;
  readonly url: string;
}

/**
 * How long after its predecessor's commit a turn starts that waited for it; and what a repeat waits
 * for its first byte that joins a turn which is running, beside the first byte of a request that
 * passes through to a model which answers at once.
 */
export async function queueBench(rig: Rig, seconds: number): Promise<Report> {
  const demo = await rig.demoModel();
  const embedded = await rig.embedded('embedded-queue', demo.url);
  const stack = await rig.stack(demo.url);
  rig.say('Measuring turns that wait, and repeats …');
  const servers = [
    { who: 'embedded', url: embedded.url },
    { who: 'stack', url: stack.url },
  ];
  const slotMs = (seconds * 1000) / 2 / (servers.length * 2);
  const found = [];
  for (const server of servers) {
    const starts = await repeated(slotMs, () => waits(server));
    const joins = await repeated(slotMs, async () => [await joinOnce(server)]);
    found.push({ server, starts, joins });
  }
  return reportOf(found);
}

/** Work is done once unmeasured, then as often as the time lasts. */
async function repeated(ms: number, work: () => Promise<readonly number[]>): Promise<number[]> {
  await work();
  const times: number[] = [];
  for (const since = performance.now(); performance.now() - since < ms;) {
    times.push(...(await work()));
  }
  return times;
}

const bodyOf = (content: string, more: object = {}) => ({
  model: 'gpt-4o',
  messages: [{ role: 'user', content }],
  sbp: {},
  ...more,
});

/** From the end of each turn to the start of the next, as the log has both, in ms. */
async function waits({ url }: Server): Promise<readonly number[]> {
  const headers = { 'x-agent-id': randomUUID() };
  const clients = Array.from({ length: 1 + WAITING }, () => new CompletionClient(url));
  const [first] = clients;
  if (first === undefined) throw new Error('there are no clients');
  const opened = await first.complete(bodyOf('Hello.'), headers);
  const session = String(opened.headers['x-sbp-session-id']);
  const long = first.begin(bodyOf('demo: ttft=150\nLong.'), headers);
  await new Promise((resolve) => setTimeout(resolve, 50));
  const others = clients.slice(1).map((client) => client.complete(bodyOf('Short.'), headers));
  await Promise.all([long.answered, ...others]);
  await Promise.all(clients.map((client) => client.close()));
  const response = await fetch(`${url}/v1/sbp/sessions/${session}/turns`);
  const { turns } = (await response.json()) as { readonly turns: readonly Turn[] };
  const waited = turns.slice(1);
  return waited.slice(1).map(({ created_at: startedAt }, index) => {
    return Date.parse(startedAt) - Date.parse(waited[index]?.ended_at ?? '');
  });
}

/** To the first byte of a repeat whose turn is running, in ms. */
async function joinOnce({ url }: Server): Promise<number> {
  const headers = { 'x-agent-id': randomUUID(), 'idempotency-key': randomUUID() };
  const said = `demo: ttft=0 tokens=${JOINED.words} interval=${JOINED.intervalMs}\nGo on.`;
  const [one, other] = [new CompletionClient(url), new CompletionClient(url)];
  const own = one.begin(bodyOf(said, { stream: true }), headers);
  await own.head;
  await new Promise((resolve) => setTimeout(resolve, 6 * JOINED.intervalMs));
  const joined = await other.complete(bodyOf(said, { stream: true }), headers);
  await own.answered;
  await Promise.all([one.close(), other.close()]);
  return joined.firstByte;
}

interface Found {
  readonly server: Server;
  readonly starts: readonly number[];
  readonly joins: readonly number[];
}

function reportOf(found: readonly Found[]): Report {
  const rows = found.flatMap(({ server: { who }, starts, joins }) => [
    { name: `${who}, start after its predecessor’s end`, times: starts, aim: 20 },
    { name: `${who}, first byte of a repeat`, times: joins, aim: 5 },
  ]);
  return {
    title: 'Turns that wait, and repeats: ms',
    columns: ['', 'p50', 'p99', 'times'],
    rows: rows.map(({ name, times }) => [
      name,
      digits(median(times)),
      digits(quantile(times, 0.99)),
      String(times.length),
    ]),
    results: rows.map(({ name, times }) => {
      return { name, p50: rounded(median(times)), p99: rounded(quantile(times, 0.99)) };
    }),
    aims: rows.map(({ name, times, aim }) => {
      return { what: name, got: median(times), comparison: '≤', aim, unit: 'ms' };
    }),
  };
}
