import { randomUUID } from 'node:crypto';
import type { SupervisedProcess } from '../supervise/index.js';
import { CompletionClient } from './completion-client.js';
import { cpuTime } from './cpu-time.js';
import type { Report } from './report.js';
import { digits, rounded } from './report.js';
import type { Rig } from './rig.js';
import { interleaved } from './rounds.js';
import type { Contender } from './rounds.js';
import { median } from './statistics.js';

const STREAMS = 200;
const ROUNDS = 3;
/** Each says so many words, one every so many ms. */
const WORDS = 100;
const INTERVAL_MS = 40;
const BARE = 'bare pass-through';
const EMBEDDED = 'embedded, a session each';

/**
 * 200 sessions that stream at once, each a word every 40 ms, beside a bare pass-through of the same
 * streams: CPU of the server's process for each delta, in µs.
 */
export async function streamsBench(rig: Rig): Promise<Report> {
  const demo = await rig.demoModel();
  const bare = await rig.bareProxy(demo.url);
  const embedded = await rig.embedded('embedded-streams', demo.url);
  rig.say(`Measuring ${STREAMS} streams at once …`);
  const contenders = [contender(BARE, bare, false), contender(EMBEDDED, embedded, true)];
  const medians = await interleaved(contenders, ROUNDS, 1);
  const [direct, tracked] = [medians.get(BARE) ?? [], medians.get(EMBEDDED) ?? []];
  const ratio = median(tracked.map((cost, round) => cost / (direct[round] ?? NaN)));
  const rows = [...medians].map(([name, costs]) => ({ name, cost: median(costs) }));
  return {
    title: `${STREAMS} streams at once: µs of CPU for each delta`,
    columns: ['', 'p50'],
    rows: [...rows.map(({ name, cost }) => [name, digits(cost)]), ['× bare', digits(ratio)]],
    results: rows.map(({ name, cost }) => ({ name, microseconds: rounded(cost) })),
    aims: [],
  };
}

function contender(
  name: string,
  { url, pid }: SupervisedProcess,
  isTracked: boolean,
): Contender<number> {
  const content = `demo: ttft=200 tokens=${WORDS} interval=${INTERVAL_MS}\nGo on.`;
  const body = {
    model: 'gpt-4o',
    messages: [{ role: 'user', content }],
    stream: true,
    ...(isTracked ? { sbp: {} } : {}),
  };
  return {
    name,
    measure: async () => {
      const clients = Array.from({ length: STREAMS }, () => new CompletionClient(url));
      const before = cpuTime(pid);
      await Promise.all(
        clients.map((client) => client.complete(body, { 'x-agent-id': randomUUID() })),
      );
      const used = cpuTime(pid) - before;
      await Promise.all(clients.map((client) => client.close()));
      return (used * 1000) / (STREAMS * WORDS);
    },
  };
}
