import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { startKafka, startPostgres } from '../infrastructure/index.js';
import type { ChaosResult } from './chaos-run.js';
import { runChaos } from './chaos-run.js';
import { planBlows, timesOf } from './kill-schedule.js';
import { Random } from './random.js';
import { figures, objections } from './report.js';
import { STEP_NAMES } from './steps.js';
import { Infrastructure } from './outages.js';
import type { Topology } from './topology.js';
import { startEmbedded, startServices } from './topology.js';

const USAGE = `usage: npm run chaos -- [options]

  --kills N        kills of random processes, half of them on each topology (default 36); besides these every named
                   step is hit one to three times on each, and every kind of process is stopped and started again
  --minutes N      what it may take; what was not reached by then fails the run (default 12)
  --seed S         repeats the plan of an earlier run (default: the time)
  --each N         how often a named step is hit at the most (default 3); 0 leaves steps and restarts out
  --outages N      how often each of these is taken from the stack, which has three brokers then: a broker, all brokers, Postgres,
                   and a runner that is paused (default 0)
  --topology T     embedded or stack; both without it
  --keep           leave histories, ledgers and logs also where the run passes
`;

const GAP = { least: 1_500, most: 4_000 };
const LANES = 6;
/** Of a topology's time, kept for bringing it to rest, in ms. */
const CLOSING_MS = 30_000;
const TOPOLOGIES = ['embedded', 'stack'] as const;

const options = readOptions();
const LEAST_TURNS = options.each === 0 ? 50 : 200;
/** Of each kind of process, at each of its moments. */
const EACH_RESTART = options.each === 0 ? 0 : 1;

const print = (line: string): void => void process.stdout.write(`${line}\n`);
const interrupted = new AbortController();
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const)
  process.on(signal, () => interrupted.abort());

const startedAt = Date.now();
const dataDir = await mkdtemp(path.join(tmpdir(), 'statebridge-chaos-'));
print(
  `Chaos with seed ${options.seed}: ${options.kills} random kills, up to ${options.each} of each step on each topology, and restarts.`,
);
const results: ChaosResult[] = [];
try {
  for (const [index, name] of options.topologies.entries()) {
    const left = startedAt + options.minutes * 60_000 - Date.now();
    const share = left / (options.topologies.length - index);
    results.push(await run(name, options.topologies.length, share));
    for (const line of figures(results.at(-1) as ChaosResult)) print(line);
  }
} catch (error) {
  print(
    `The run itself failed: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`,
  );
}
await judge();

async function run(
  name: (typeof TOPOLOGIES)[number],
  topologies: number,
  ms: number,
): Promise<ChaosResult> {
  const random = new Random(options.seed).fork(name);
  const stopped = AbortSignal.any([
    interrupted.signal,
    AbortSignal.timeout(Math.max(0, Math.floor(ms) - CLOSING_MS)),
  ]);
  const { topology, end } = await start(name);
  try {
    return await runChaos(topology, {
      plan: planBlows(
        {
          steps: STEP_NAMES,
          each: options.each,
          random: Math.ceil(options.kills / topologies),
          restarts: EACH_RESTART,
          outages: name === 'stack' ? options.outages : 0,
          kinds: topology.kinds,
          gap: GAP,
        },
        random,
      ),
      random,
      lanes: LANES,
      stopped,
      say: print,
    });
  } finally {
    await end();
  }
}

async function start(
  name: (typeof TOPOLOGIES)[number],
): Promise<{ topology: Topology; end: () => Promise<void> }> {
  const folder = path.join(dataDir, name);
  if (name === 'embedded') {
    const topology = await startEmbedded(folder);
    return { topology, end: () => topology.stop() };
  }
  print('Starting Kafka, Postgres and the services …');
  const hasOutages = options.outages > 0;
  const kafka = await startKafka({
    dataDir: path.join(dataDir, 'kafka'),
    brokers: hasOutages ? 3 : 1,
    say: print,
  });
  const postgres = await startPostgres({
    dataDir: path.join(dataDir, 'postgres'),
    // Where only our own processes are killed the database need not wait for the disk.
    unsafe: !hasOutages,
  });
  const stopServers = async (): Promise<void> => {
    await Promise.all([kafka.stop({ discard: true }), postgres.stop({ discard: true })]);
  };
  try {
    const topology = await startServices(
      folder,
      { kafkaBrokers: kafka.brokers, postgresUrl: postgres.url },
      hasOutages ? { SBP_KAFKA_REPLICATION: '3', SBP_KAFKA_MIN_ISR: '2' } : {},
      undefined,
      hasOutages ? new Infrastructure(kafka, postgres) : null,
    );
    return {
      topology,
      end: async () => {
        await topology.stop();
        await stopServers();
      },
    };
  } catch (error) {
    await stopServers();
    throw error;
  }
}

async function judge(): Promise<never> {
  const named = STEP_NAMES.reduce((sum, step) => sum + timesOf(step, options.each), 0);
  const against = objections(results, {
    kills: options.topologies.length * named + options.kills,
    eachStep: options.each,
    eachRestart: EACH_RESTART,
    eachOutage: options.outages,
    turns: LEAST_TURNS,
  });
  const missing = options.topologies.length - results.length;
  const minutes = ((Date.now() - startedAt) / 60_000).toFixed(1);
  const hasPassed = against.length === 0 && missing === 0;
  if (hasPassed && !options.keep) {
    await rm(dataDir, { recursive: true, force: true, maxRetries: 10 });
  } else {
    await writeFile(path.join(dataDir, 'results.json'), JSON.stringify(results, null, 1));
    print(`Histories, ledgers and logs: ${dataDir}`);
  }
  for (const line of against) print(`✗ ${line}`);
  print(
    hasPassed
      ? `PASSED in ${minutes} min with seed ${options.seed}: nothing lost, doubled, altered or out of order; every turn ended.`
      : `FAILED after ${minutes} min with seed ${options.seed}.`,
  );
  process.exit(hasPassed ? 0 : 1);
}

function readOptions(): {
  readonly kills: number;
  readonly minutes: number;
  readonly seed: number;
  readonly each: number;
  readonly outages: number;
  readonly keep: boolean;
  readonly topologies: readonly (typeof TOPOLOGIES)[number][];
} {
  try {
    const { values } = parseArgs({
      args: process.argv.slice(2),
      strict: true,
      options: {
        kills: { type: 'string', default: '36' },
        minutes: { type: 'string', default: '12' },
        seed: { type: 'string', default: String(Date.now() % 1_000_000) },
        each: { type: 'string', default: '3' },
        outages: { type: 'string', default: '0' },
        topology: { type: 'string' },
        keep: { type: 'boolean', default: false },
      },
    });
    for (const name of ['kills', 'minutes', 'seed', 'each', 'outages'] as const) {
      if (!/^\d{1,9}$/.test(values[name]))
        throw new Error(`--${name} ${values[name]} is not a whole number.`);
    }
    const topologies = TOPOLOGIES.filter(
      (each) => values.topology === undefined || each === values.topology,
    );
    if (topologies.length === 0)
      throw new Error(`--topology ${values.topology ?? ''} is not embedded or stack.`);
    return {
      kills: Number(values.kills),
      minutes: Number(values.minutes),
      seed: Number(values.seed),
      each: Number(values.each),
      outages: Number(values.outages),
      topologies,
      keep: values.keep,
    };
  } catch (error) {
    process.stderr.write(`${(error as Error).message}\n\n${USAGE}`);
    process.exit(2);
  }
}
