import { randomUUID } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { INestApplication, Type } from '@nestjs/common';
import { Controller, Module, UseFilters } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { Ctx, MessagePattern, Payload } from '@nestjs/microservices';
import { FastifyAdapter } from '@nestjs/platform-fastify';
import { from } from 'rxjs';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { LogEvent } from '#libs/protocol';
import type { Database } from '#libs/sql';
import { openSqlite, sql } from '#libs/sql';
import { SqliteEventLog } from '../adapters/sqlite-event-log.js';
import { ConsumerPositions } from '../consumer-positions.js';
import type { EventLog, LogBatch } from '../ports/event-log.js';
import { eventLogEntities, eventLogMigrations } from '../schema.js';
import { BatchContext } from './batch-context.js';
import { EventLogTransport } from './event-log-transport.js';
import { HandlerErrors } from './handler-errors.js';
import { LogConsumer } from './log-consumer.js';

let directory: string;
let database: Database;
let log: EventLog;
let app: INestApplication | undefined;
let problems: { readonly problem: string; readonly error: unknown }[];
let committed: LogBatch[];

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'event-log-transport-'));
  database = await openSqlite({
    file: join(directory, 'sbp.sqlite'),
    entities: eventLogEntities('sqlite'),
    migrations: eventLogMigrations('sqlite'),
  });
  await database.write(
    (transaction) => sql(transaction)`CREATE TABLE effects (consumer text, event_id text)`,
  );
  log = new SqliteEventLog(database);
  problems = [];
  committed = [];
});

afterEach(async () => {
  await app?.close();
  app = undefined;
  await log.close();
  await database.close();
  await rm(directory, { recursive: true, force: true });
});

async function start(
  controller: Type,
  batchSize = 100,
  onAssigned: (consumer: string, partition: number) => Promise<void> = () => Promise.resolve(),
): Promise<void> {
  @Module({ controllers: [controller] })
  class ReaderModule {}

  app = await NestFactory.create(ReaderModule, new FastifyAdapter(), {
    logger: false,
    abortOnError: false,
  });
  app.connectMicroservice({
    strategy: new EventLogTransport({
      log,
      database,
      positions: new ConsumerPositions(database),
      batchSize,
      onProblem: (problem, error) => problems.push({ problem, error }),
      onCommitted: (batch) => committed.push(batch),
      onAssigned,
    }),
  });
  await app.startAllMicroservices();
}

async function note(
  consumer: string,
  batch: LogBatch,
  { transaction }: BatchContext,
): Promise<void> {
  for (const { event } of batch.records) {
    await sql(transaction)`INSERT INTO effects VALUES (${consumer}, ${event?.id ?? null})`;
  }
}

async function effects(consumer: string): Promise<string[]> {
  const { rows } = await database.read(
    (reader) =>
      sql(reader)<{ event_id: string }>`SELECT event_id FROM effects WHERE consumer = ${consumer}`,
  );
  return rows.map(({ event_id }) => event_id);
}

async function appendFacts(count: number): Promise<string[]> {
  const session_id = randomUUID();
  const ids = Array.from({ length: count }, () => randomUUID());
  for (const [n, id] of ids.entries()) {
    const event: LogEvent = {
      id,
      type: 'surface.acknowledged',
      schema: 1,
      session_id,
      occurred_at: '2026-05-10T15:05:00.000Z',
      by: { principal: null, via: 'system' },
      data: { attach_id: randomUUID(), seq: n + 1 },
    };
    await log.append([event]);
  }
  return ids;
}

describe('EventLogTransport', () => {
  it('gives each consumer every record in batches, with the transaction of its position', async () => {
    @Controller()
    class Consumers {
      @LogConsumer('promising')
      promising(@Payload() batch: LogBatch, @Ctx() context: BatchContext): Promise<void> {
        return note('promising', batch, context);
      }

      @LogConsumer('observing')
      observing(@Payload() batch: LogBatch, @Ctx() context: BatchContext) {
        return from(note('observing', batch, context));
      }
    }
    const old = await appendFacts(5);
    await start(Consumers, 2);
    const fresh = await appendFacts(3);
    for (const consumer of ['promising', 'observing']) {
      await vi.waitFor(async () => expect(await effects(consumer)).toEqual([...old, ...fresh]));
      expect(await new ConsumerPositions(database).load(consumer, 0)).toBe(await log.end(0));
      const mine = committed.filter((batch) => batch.consumer === consumer);
      expect(mine.flatMap(({ records }) => records)).toHaveLength(8);
      expect(Math.max(...mine.map(({ records }) => records.length))).toBeLessThanOrEqual(2);
    }
    expect(problems).toEqual([]);
  });

  it('lets records gather for a consumer that lingers', async () => {
    @Controller()
    class Consumer {
      @LogConsumer('lingering', { lingerMs: 500 })
      handle(@Payload() batch: LogBatch, @Ctx() context: BatchContext): Promise<void> {
        return note('lingering', batch, context);
      }
    }
    await start(Consumer);
    const ids = await appendFacts(10);
    await vi.waitFor(async () => expect(await effects('lingering')).toEqual(ids), {
      timeout: 10_000,
    });
    expect(committed.length).toBeLessThan(ids.length / 2);
  });

  it('runs what was left for after the commit when its effects can be read', async () => {
    const seen: Promise<string[]>[] = [];

    @Controller()
    class Consumer {
      @LogConsumer('poking')
      async poke(@Payload() batch: LogBatch, @Ctx() context: BatchContext): Promise<void> {
        context.afterCommit(() => seen.push(effects('poking')));
        await note('poking', batch, context);
        if (committed.length === 0 && seen.length === 0 && problems.length === 0)
          throw new Error('not yet');
      }
    }
    await start(Consumer);
    const ids = await appendFacts(1);
    await vi.waitFor(() => expect(seen).toHaveLength(1));
    expect(await seen[0]).toEqual(ids);
  });

  it.each([
    ['rejects', (error: Error): Promise<never> => Promise.reject(error)],
    ['observes an error', (error: Error) => from(Promise.reject(error))],
  ])(
    'undoes, reports and repeats a batch whose handler %s, and passes nothing over',
    async (_, fail) => {
      let attempts = 0;

      @Controller()
      @UseFilters(HandlerErrors)
      class Consumer {
        @LogConsumer('failing')
        async handle(@Payload() batch: LogBatch, @Ctx() context: BatchContext): Promise<unknown> {
          await note('failing', batch, context);
          attempts += 1;
          if (attempts < 3) return fail(new Error(`attempt ${attempts}`));
          return undefined;
        }
      }
      const ids = await appendFacts(2);
      await start(Consumer);
      await vi.waitFor(async () => expect(await effects('failing')).toEqual(ids));
      expect(problems.map(({ error }) => (error as Error).message)).toEqual([
        'attempt 1',
        'attempt 2',
      ]);
      expect(committed).toHaveLength(1);
    },
  );

  it('undoes and repeats a failed batch without the filter too, where Nest masks the error', async () => {
    let attempts = 0;

    @Controller()
    class Consumer {
      @LogConsumer('masked')
      async handle(@Payload() batch: LogBatch, @Ctx() context: BatchContext): Promise<void> {
        await note('masked', batch, context);
        if ((attempts += 1) === 1) throw new Error('once');
      }
    }
    const ids = await appendFacts(2);
    await start(Consumer);
    await vi.waitFor(async () => expect(await effects('masked')).toEqual(ids));
    expect(problems).toHaveLength(1);
  });

  it('goes on from the stored position after a restart', async () => {
    @Controller()
    class Consumer {
      @LogConsumer('lasting')
      handle(@Payload() batch: LogBatch, @Ctx() context: BatchContext): Promise<void> {
        return note('lasting', batch, context);
      }
    }
    await start(Consumer);
    const before = await appendFacts(2);
    await vi.waitFor(async () => expect(await effects('lasting')).toEqual(before));
    await app?.close();
    const meanwhile = await appendFacts(2);
    await start(Consumer);
    await vi.waitFor(async () =>
      expect(await effects('lasting')).toEqual([...before, ...meanwhile]),
    );
  });

  it('is told of a partition before anything of it is read, once, and goes on where that fails', async () => {
    const seen: string[] = [];

    @Controller()
    class Consumer {
      @LogConsumer('prepared')
      handle(@Payload() batch: LogBatch, @Ctx() context: BatchContext): Promise<void> {
        seen.push('batch');
        return note('prepared', batch, context);
      }
    }
    const ids = await appendFacts(3);
    await start(Consumer, 1, async (consumer, partition) => {
      seen.push(`${consumer} ${partition}, ${(await effects('prepared')).length} read`);
      throw new Error('not now');
    });
    await vi.waitFor(async () => expect(await effects('prepared')).toEqual(ids));
    expect(seen).toEqual(['prepared 0, 0 read', 'batch', 'batch', 'batch']);
    expect(problems).toMatchObject([{ error: { message: 'not now' } }]);
  });

  it('does not start with two handlers for one consumer', async () => {
    @Controller()
    class Twice {
      @LogConsumer('same')
      one(): void {
        return undefined;
      }

      @LogConsumer('same')
      other(): void {
        return undefined;
      }
    }
    await expect(start(Twice)).rejects.toThrow("The consumer 'same' has two handlers.");
  });

  it('does not start with a handler that would answer', async () => {
    @Controller()
    class Answering {
      @MessagePattern('question')
      answer(): string {
        return 'answer';
      }
    }
    await expect(start(Answering)).rejects.toThrow("'question' is a @MessagePattern");
  });
});
