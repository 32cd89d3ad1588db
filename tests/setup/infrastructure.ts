import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { TestProject } from 'vitest/node';
import { startKafka, startPostgres } from '../../tools/infrastructure/index.js';
import { guardFolder } from '../../tools/supervise/index.js';

declare module 'vitest' {
  export interface ProvidedContext {
    /** `host:port` of the one broker that all tests share: each makes its own topics. */
    readonly SBP_TEST_KAFKA_BROKERS: string;
    /**
     * The administrator's address of the one server that all tests share: each makes its own
     * database.
     */
    readonly SBP_TEST_POSTGRES_URL: string;
  }
}

/**
 * One Kafka broker and one Postgres for all tests of a run, with data that is thrown away. Where no
 * chosen test file is of a kind that may need them, nothing is started. A server that cannot be had
 * fails the run.
 */
export default async function setup(
  project: TestProject,
): Promise<(() => Promise<void>) | undefined> {
  const { testFiles } = await project.globTestFiles(chosenFiles(project));
  if (!testFiles.some((file) => /\.(int|e2e|chaos)\.spec\.ts$/.test(file))) return undefined;

  const started = Date.now();
  const say = (message: string): void => void process.stderr.write(`[setup] ${message}\n`);
  const dataDir = await mkdtemp(path.join(tmpdir(), 'statebridge-test-'));
  guardFolder(dataDir);
  say('Starting Kafka and Postgres for the tests …');
  const [kafka, postgres] = await Promise.allSettled([
    startKafka({ dataDir: path.join(dataDir, 'kafka'), say }),
    startPostgres({ dataDir: path.join(dataDir, 'postgres'), unsafe: true }),
  ]);
  const stop = async (): Promise<void> => {
    const running = [kafka, postgres].flatMap((each) =>
      each.status === 'fulfilled' ? [each.value] : [],
    );
    await Promise.all(running.map((each) => each.stop({ discard: true })));
    await rm(dataDir, { recursive: true, force: true, maxRetries: 10 });
  };
  if (kafka.status === 'rejected' || postgres.status === 'rejected') {
    await stop();
    const reasons = [kafka, postgres].flatMap((each) =>
      each.status === 'rejected' ? [each.reason as unknown] : [],
    );
    throw new AggregateError(
      reasons,
      reasons.map((reason) => (reason as Error).message).join('\n'),
    );
  }
  const provided = {
    SBP_TEST_KAFKA_BROKERS: kafka.value.brokers,
    SBP_TEST_POSTGRES_URL: postgres.value.url,
  };
  for (const [name, value] of Object.entries(provided)) process.env[name] = value;
  project.provide('SBP_TEST_KAFKA_BROKERS', provided.SBP_TEST_KAFKA_BROKERS);
  project.provide('SBP_TEST_POSTGRES_URL', provided.SBP_TEST_POSTGRES_URL);
  say(`Kafka and Postgres are ready after ${((Date.now() - started) / 1000).toFixed(1)} s.`);
  return stop;
}

/**
 * The file name filters of the command line. Where Vitest no longer tells them, all files count as
 * chosen.
 */
function chosenFiles({ vitest }: TestProject): string[] {
  const { filenamePattern } = vitest as unknown as { readonly filenamePattern?: readonly string[] };
  return [...(filenamePattern ?? [])];
}
