import { rm } from 'node:fs/promises';
import path from 'node:path';
import { freePort } from '../infrastructure/index.js';
import { BARE_PASS_THROUGH, startProgram } from './program.js';
import type { Report } from './report.js';
import { digits, rounded } from './report.js';
import type { Rig } from './rig.js';
import { interleaved } from './rounds.js';
import type { Contender } from './rounds.js';
import { median } from './statistics.js';

const ROUNDS = 5;
const POLL_MS = 5;

/**
 * From the start of `sbp-server start` until `/health/ready` answers 200, on a new and on an
 * existing data directory.
 */
export async function startBench(rig: Rig): Promise<Report> {
  rig.say('Measuring starts …');
  const contenders: Contender<number>[] = [
    {
      name: 'new data directory',
      measure: async () => {
        const dataDir = path.join(rig.dir, 'start-new');
        const took = await start(rig, dataDir);
        await rm(dataDir, { recursive: true });
        return took;
      },
    },
    {
      name: 'existing data directory',
      measure: () => start(rig, path.join(rig.dir, 'start-existing')),
    },
    { name: 'bare pass-through', measure: () => startBare(rig) },
  ];
  const measured = [...(await interleaved(contenders, ROUNDS, 0))].map(([name, rounds]) => ({
    name,
    p50: rounded(median(rounds)),
    max: rounded(Math.max(...rounds)),
    starts: rounds.length,
  }));
  return {
    title: 'Start of the embedded server until it is ready, in ms',
    columns: ['', 'p50', 'max', 'starts'],
    rows: measured.map(({ name, p50, max, starts }) => [
      name,
      digits(p50),
      digits(max),
      String(starts),
    ]),
    results: measured,
    aims: measured
      .filter(({ name }) => name.includes('data directory'))
      .map(({ name, p50 }) => ({
        what: `embedded start, ${name}`,
        got: p50 / 1000,
        comparison: '≤',
        aim: 2,
        unit: 's',
      })),
  };
}

async function start(rig: Rig, dataDir: string): Promise<number> {
  const url = `http://127.0.0.1:${await freePort()}`;
  const began = performance.now();
  const program = await startProgram({
    name: 'start',
    entry: 'apps/sbp-server/src/main.js',
    args: ['start', '--port', new URL(url).port, '--data-dir', dataDir],
    dir: path.join(rig.dir, 'programs'),
    ready: async ({ signal }) => {
      while (!(await isReady(url)) && !signal.aborted)
        await new Promise((resolve) => setTimeout(resolve, POLL_MS));
      return url;
    },
  });
  const took = performance.now() - began;
  await program.stop();
  return took;
}

/** What Node alone takes on this machine now. */
async function startBare(rig: Rig): Promise<number> {
  const began = performance.now();
  const program = await startProgram({
    name: 'start-bare',
    entry: BARE_PASS_THROUGH,
    args: ['http://127.0.0.1:1'],
    dir: path.join(rig.dir, 'programs'),
  });
  const took = performance.now() - began;
  await program.stop();
  return took;
}

async function isReady(url: string): Promise<boolean> {
  try {
    return (await fetch(`${url}/health/ready`)).ok;
  } catch {
    return false;
  }
}
