import { adoptionBench } from './adoption-bench.js';
import { appendsBench } from './appends-bench.js';
import { BENCHES, USAGE, benchOptions } from './command-line.js';
import type { BenchName, BenchOptions } from './command-line.js';
import { completionsBench } from './completions-bench.js';
import { foldBench } from './fold-bench.js';
import { historyBench } from './history-bench.js';
import { idleBench } from './idle-bench.js';
import { liveBench } from './live-bench.js';
import { machine } from './machine.js';
import { paceBench } from './pace-bench.js';
import { queueBench } from './queue-bench.js';
import { roamingBench } from './roaming-bench.js';
import { streamsBench } from './streams-bench.js';
import { print } from './report.js';
import type { Report } from './report.js';
import { Rig } from './rig.js';
import { startBench } from './start-bench.js';
import { telemetryBench } from './telemetry-bench.js';
import { toolsBench } from './tools-bench.js';

const RUN: Readonly<Record<BenchName, (rig: Rig, seconds: number) => Promise<Report>>> = {
  start: startBench,
  completions: completionsBench,
  pace: paceBench,
  queue: queueBench,
  streams: streamsBench,
  history: historyBench,
  idle: idleBench,
  appends: appendsBench,
  fold: foldBench,
  live: liveBench,
  tools: toolsBench,
  roaming: roamingBench,
  adoption: adoptionBench,
  telemetry: telemetryBench,
};

const write = (text: string): void => void process.stdout.write(text);
const options = readOptions();
const rig = await Rig.open((message) => void process.stderr.write(`${message}\n`));
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => void end(130));

try {
  write(`${machine()}\n`);
  for (const name of BENCHES) {
    if (options.only.includes(name)) print(name, await RUN[name](rig, options.seconds), write);
  }
  await end(0);
} catch (error) {
  process.stderr.write(
    `${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`,
  );
  await end(1);
}

async function end(code: number): Promise<void> {
  await rig.close();
  process.exit(code);
}

function readOptions(): BenchOptions {
  try {
    return benchOptions(process.argv.slice(2));
  } catch (error) {
    process.stderr.write(`${(error as Error).message}\n\n${USAGE}`);
    process.exit(2);
  }
}
