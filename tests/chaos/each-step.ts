import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { ChaosResult, Step, Topology } from '../../tools/chaos/index.js';
import { Random, STEPS, STEP_NAMES, planBlows, runChaos } from '../../tools/chaos/index.js';

/** Closer together than in a long run: each process has just begun to serve again. */
const GAP = { least: 600, most: 1_500 };
const PATIENCE_MS = 840_000;
/**
 * No blow begins after it: what is left is found and judged, instead of a hook that runs out of
 * time.
 */
const BLOWS_MS = 640_000;
const SEED = 1;

/**
 * The named steps at which one of two topologies is killed, which takes half of the time:
 * `npm run chaos` kills both at all of them.
 */
export function eachSecondStep(from: 0 | 1): readonly Step[] {
  return STEP_NAMES.filter((_, at) => at % 2 === from);
}

/**
 * Kills a topology's processes once at each of these steps, and stops and starts them, while
 * callers and surfaces use it, and checks what these were told.
 */
export function survivesEachStep(
  name: string,
  steps: readonly Step[],
  start: (dataDir: string) => Promise<Topology>,
): void {
  describe(`${name}, killed once at each of ${steps.length} named steps`, () => {
    let dataDir: string;
    let topology: Topology | undefined;
    let result: ChaosResult | undefined;
    let passed = false;

    const found = (): ChaosResult => {
      if (result === undefined) throw new Error('the run did not end');
      return result;
    };

    beforeAll(async () => {
      dataDir = await mkdtemp(path.join(tmpdir(), 'statebridge-chaos-'));
      topology = await start(dataDir);
      const random = new Random(SEED);
      const { kinds } = topology;
      const schedule = { steps, each: 1, random: 0, restarts: 1, outages: 0, kinds, gap: GAP };
      const plan = planBlows(schedule, random);
      const stopped = AbortSignal.timeout(BLOWS_MS);
      const say = (line: string): void => void process.stdout.write(`${line}\n`);
      result = await runChaos(topology, { plan, random, lanes: 5, stopped, say });
      passed = result.violations.length === 0 && result.crashes.length === 0;
    }, PATIENCE_MS);

    afterAll(async () => {
      await topology?.stop();
      // What a failed run left is kept, to be read.
      if (passed) await rm(dataDir, { recursive: true, force: true, maxRetries: 10 });
      else {
        const file = path.join(dataDir, 'result.json');
        await writeFile(file, JSON.stringify(result ?? null, null, 1));
        process.stdout.write(`${name}: histories, logs and ledgers are in ${dataDir}\n`);
      }
    });

    it.each(steps.map((step) => [step, STEPS[step]] as const))('died at %s: %s', (step) => {
      expect(found().kills.map((kill) => kill.step)).toContain(step);
    });

    it('loses, doubles, alters and reorders nothing that was acknowledged, and every turn ends', () => {
      expect(found().violations).toEqual([]);
    });

    it('goes on with turns of dead processes', () => {
      expect(found().adoptions).not.toEqual([]);
    });

    it('stops every kind of process and starts it again', () => {
      for (const { name: kind, runsTurns } of found().kinds) {
        const restarts = found().restarts.filter((restart) => restart.kind === kind);
        expect(restarts.length, kind).toBeGreaterThanOrEqual(runsTurns ? 3 : 1);
      }
    });

    it('hands turns over when it stops, and goes on with them', () => {
      expect(found().restarts.flatMap(({ handedOver }) => handedOver)).not.toEqual([]);
      expect(found().adoptions.map(({ after }) => after)).toContain('hand-over');
    });

    it('has no process that ends by itself', () => {
      expect(found().crashes).toEqual([]);
    });
  });
}
