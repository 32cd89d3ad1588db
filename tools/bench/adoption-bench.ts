import { setTimeout as delay } from 'node:timers/promises';
import type { Report } from './report.js';
import { digits, rounded } from './report.js';
import type { Rig } from './rig.js';
import type { StackProgram } from './stack-program.js';
import type { StampingModel } from './stamping-model.js';
import { median } from './statistics.js';
import { WatchedTurn } from './watched-turn.js';

const KILLS = 5;
const INTERVAL_MS = 50;
const GIVE_UP_MS = 60_000;
/** A process may adopt only after its own heartbeat was unbroken for one lease, of 4 s. */
const SETTLE_MS = 5_000;

/** From the SIGKILL of the process that runs a turn until the surface is shown the next attempt. */
export async function adoptionBench(rig: Rig): Promise<Report> {
  const model = await rig.stampingModel();
  const stack = await rig.stack(model.url);
  rig.say('Measuring adoptions …');
  model.pace(INTERVAL_MS);
  const took: number[] = [];
  for (let kill = 0; kill < KILLS; kill++)
    took.push(await adoption(stack, model, `completions-${(kill % 2) + 1}`));
  const [p50, max] = [median(took), Math.max(...took)];
  return {
    title: 'From the kill of the runner until the surface is shown the next attempt, in ms',
    columns: ['', 'p50', 'max', 'kills'],
    rows: [['stack', digits(p50), digits(max), String(took.length)]],
    results: [{ name: 'stack', p50: rounded(p50), max: rounded(max), kills: took.length }],
    aims: [
      { what: 'adopted, at the longest', got: max / 1000, comparison: '≤', aim: 10, unit: 's' },
    ],
  };
}

async function adoption(
  stack: StackProgram,
  model: StampingModel,
  runner: string,
): Promise<number> {
  await delay(SETTLE_MS);
  const { url } = stack.process(runner);
  const begun = Promise.withResolvers<undefined>();
  const replaced = Promise.withResolvers<number>();
  const turn = await WatchedTurn.begin(url, stack.url, ({ replaces }) => {
    begun.resolve(undefined);
    if (replaces !== undefined) replaced.resolve(performance.now());
  });
  await begun.promise;
  const { pid } = stack.process(runner);
  const killed = performance.now();
  process.kill(pid, 'SIGKILL');
  const shown = await Promise.race([replaced.promise, delay(GIVE_UP_MS, null, { ref: false })]);
  if (shown === null) throw new Error(`the turn was not adopted within ${GIVE_UP_MS} ms`);
  model.finish();
  await turn.end();
  await serving(stack, runner);
  return shown - killed;
}

/** The stack starts a dead service again. */
async function serving(stack: StackProgram, name: string): Promise<void> {
  const { url } = stack.list().find((entry) => entry.name === name) ?? { url: null };
  const answer = url === null ? null : await fetch(`${url}/health/ready`).catch(() => null);
  if (answer?.ok === true) return;
  await delay(100);
  await serving(stack, name);
}
