import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { INestApplication } from '@nestjs/common';
import { Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { FastifyAdapter } from '@nestjs/platform-fastify';
import type { EntityManager } from 'typeorm';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import {
  GATEWAY,
  SESSION,
  fold,
  id,
  sessionOpened,
  surfaceAttached,
  turnCompleted,
  turnStarted,
} from '#libs/domain/testing';
import type { Append, EventLog } from '#libs/event-log';
import {
  ConsumerPositions,
  EventLogTransport,
  SqliteEventLog,
  eventLogEntities,
  eventLogMigrations,
} from '#libs/event-log';
import { InProcessMailbox, Mailbox } from '#libs/mailbox';
import type { MailboxMessage } from '#libs/mailbox';
import type { LogEvent } from '#libs/protocol';
import type { Database } from '#libs/sql';
import { openSqlite } from '#libs/sql';
import type { Applied, FoldRecord } from '#libs/store';
import { Projection, SessionReads, Transcripts, storeEntities, storeMigrations } from '#libs/store';
import { Metrics, NO_TRACING, ProjectionMetrics, Tracing } from '#libs/telemetry';
import { ProjectorController } from './projector.controller.js';

/** A projection that fails after it has written, as if the process had died there. */
class InterruptedProjection extends Projection {
  failures = 0;

  override async apply(
    transaction: EntityManager,
    partition: number,
    records: readonly FoldRecord[],
  ): Promise<Applied> {
    const applied = await super.apply(transaction, partition, records);
    if (this.failures-- > 0) throw new Error('killed before the commit');
    return applied;
  }
}

let directory: string;
let database: Database;
let log: EventLog;
let mailbox: InProcessMailbox;
let projection: InterruptedProjection;
let reads: SessionReads;
let pokes: MailboxMessage[];
const apps: INestApplication[] = [];

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'projector-'));
  database = await openSqlite({
    file: join(directory, 'sbp.sqlite'),
    entities: [...storeEntities, ...eventLogEntities('sqlite')],
    migrations: [...eventLogMigrations('sqlite'), ...storeMigrations],
  });
  log = new SqliteEventLog(database);
  projection = new InterruptedProjection();
  reads = new SessionReads(database);
  mailbox = new InProcessMailbox((problem, error) => {
    throw new Error(problem, { cause: error });
  });
  pokes = [];
  await mailbox.receive(GATEWAY, (message) => pokes.push(message));
});
afterEach(async () => {
  await Promise.all(apps.splice(0).map((app) => app.close()));
  await mailbox.close();
  await log.close();
  await database.close();
  await rm(directory, { recursive: true, force: true });
});

function projectionMetrics(): ProjectionMetrics {
  const none = () => Promise.resolve(0);
  return new ProjectionMetrics(new Metrics(), { waiting: none, quarantined: none });
}

async function start({ batchSize = 100 } = {}): Promise<void> {
  @Module({
    controllers: [ProjectorController],
    providers: [
      { provide: Projection, useValue: projection },
      { provide: Mailbox, useValue: mailbox },
      { provide: Tracing, useValue: NO_TRACING },
      { provide: ProjectionMetrics, useValue: projectionMetrics() },
    ],
  })
  class ProjectorModule {}

  const app = await NestFactory.create(ProjectorModule, new FastifyAdapter(), {
    logger: false,
    abortOnError: false,
  });
  const positions = new ConsumerPositions(database);
  const onProblem = (): void => undefined;
  app.connectMicroservice({
    strategy: new EventLogTransport({ log, database, positions, batchSize, onProblem }),
  });
  await app.startAllMicroservices();
  apps.push(app);
}

const turns = (count: number): LogEvent[] =>
  Array.from({ length: count }, (_, index) => [
    turnStarted(20 + index, { turn: id(50 + index), keeps: 99 }),
    turnCompleted(20 + index, { turn: id(50 + index) }),
  ]).flat();
const history = (): LogEvent[] => [
  sessionOpened(10),
  turnStarted(10),
  surfaceAttached(),
  turnCompleted(10),
  ...turns(5),
];

async function append(events: readonly LogEvent[]): Promise<void> {
  for (const event of events) await log.append([event] as Append);
}

const folded = (events: readonly LogEvent[]) =>
  vi.waitFor(async () => expect(await reads.state(SESSION)).toEqual(fold(events).state), {
    timeout: 20_000,
  });

/** The turns of `history` are in their table, each once. */
async function expectSixTurns(): Promise<void> {
  const { entries, steps } = await new Transcripts(database).asOf(SESSION, 6);
  expect([entries.length, steps]).toEqual([12, 6]);
}

describe('the projector', () => {
  it('folds what stands in the log, and what comes', async () => {
    const before = history();
    await append(before);
    await start({ batchSize: 3 });
    await folded(before);
    const next = turnStarted(900, { turn: id(90) });
    await append([next]);
    await folded([...before, next]);
  });

  it('folds each event once, also when it is interrupted before a commit [A4]', async () => {
    const events = history();
    await append(events);
    projection.failures = 3;
    await start({ batchSize: 4 });
    await folded(events);
    await expectSixTurns();
  });

  it('folds each event once, also when another replica reads at the same time', async () => {
    await start({ batchSize: 2 });
    await start({ batchSize: 3 });
    const events = history();
    await append(events);
    await folded(events);
    await expectSixTurns();
  });

  it('pokes the surface’s gateway after the commit [A8]', async () => {
    await append([sessionOpened(10), turnStarted(10)]);
    await start();
    await append([surfaceAttached()]);
    await vi.waitFor(() => expect(pokes).toEqual([{ type: 'poke', session_id: SESSION }]), {
      timeout: 20_000,
    });
    expect(await reads.state(SESSION)).toMatchObject({ surface: { type: 'attached' } });
  });

  it('pokes nobody for what is old: only the batch that ends at the log’s end', async () => {
    const events = history();
    await append(events);
    await start({ batchSize: 1 });
    await folded(events);
    await vi.waitFor(() => expect(pokes.length).toBeGreaterThan(0), { timeout: 20_000 });
    expect(pokes).toHaveLength(1);
  });
});
