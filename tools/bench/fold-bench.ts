import { randomUUID } from 'node:crypto';
import path from 'node:path';
import type { EntityManager } from 'typeorm';
import { ANALYTICS, UsageFold, analyticsSchema } from '#libs/analytics';
import { AUDIT, Seals, Trail, auditSchema } from '#libs/audit';
import type { EventLog, LogBatch } from '#libs/event-log';
import { ConsumerPositions, LOG_TABLES, replay } from '#libs/event-log';
import { KafkaEventLog } from '#libs/event-log/kafka';
import { openIdleStorage, parseSettings, rebuild } from '#libs/runtime';
import type { Settings } from '#libs/runtime';
import { createLogger } from '#libs/telemetry';
import { createDatabase } from '../infrastructure/index.js';
import { appendAll, bareRead, conversations } from './logged-events.js';
import type { Report } from './report.js';
import { digits, rounded } from './report.js';
import type { Rig } from './rig.js';
import { interleaved } from './rounds.js';
import type { Contender } from './rounds.js';
import { median } from './statistics.js';

const ROUNDS = 2;
/** Events of the logs that are folded: the second is to take four times as long as the first. */
const SIZES = [25_000, 100_000] as const;
const PARTITIONS = 12;
const TABLES = {
  entities: [...auditSchema.entities, ...analyticsSchema.entities],
  migrations: [...auditSchema.migrations, ...analyticsSchema.migrations],
};
const logger = createLogger('bench', 'warn');

interface Slot {
  readonly events: number;
  readonly seconds: number;
  /** Of this process alone; what the broker and Postgres do is not in it. */
  readonly cpuSeconds: number;
}

/** Makes what a batch of the log says, inside a transaction. */
type Fold = (transaction: EntityManager, batch: LogBatch) => Promise<void>;

const BARE = 'bare kafkajs';
const foldName = (what: string, where: string): string => `${what}, ${where}`;
/** By what makes it, a fold of an installation's log; each resolves with the number of records. */
const WORK: Readonly<Record<string, (settings: Settings) => Promise<number>>> = {
  projection: (settings) => rebuild(settings, logger, []),
  audit: (settings) => foldAll(settings, AUDIT, audit()),
  analytics: (settings) => foldAll(settings, ANALYTICS, analytics()),
};
const FOLDS = ['Postgres', 'SQLite'].flatMap((where) =>
  Object.keys(WORK).map((what) => foldName(what, where)),
);

/** What each consumer of the log takes for an event, from the beginning of logs of two lengths. */
export async function foldBench(rig: Rig): Promise<Report> {
  const contenders: Contender<Slot>[] = [];
  for (const events of SIZES) {
    rig.say(`Making logs of ${events} events …`);
    const kafka = await kafkaLog(rig, events);
    const embedded = await embeddedLog(rig, events);
    const { backend } = kafka;
    if (backend.type === 'embedded') throw new Error('the log is to be on Kafka');
    const topic = `${backend.topicPrefix}.turns`;
    contenders.push(
      contender(BARE, events, () => bareRead(backend.brokers, topic, events)),
      ...[
        { where: 'Postgres', settings: kafka },
        { where: 'SQLite', settings: embedded },
      ].flatMap(({ where, settings }) =>
        Object.entries(WORK).map(([what, work]) =>
          contender(foldName(what, where), events, () => work(settings)),
        ),
      ),
    );
  }
  rig.say('Measuring folds …');
  return reportOf(await interleaved(contenders, ROUNDS, 0));
}

async function kafkaLog(rig: Rig, events: number): Promise<Settings> {
  const stack = await rig.anyStack();
  const prefix = `fold-${randomUUID()}`;
  const brokers = stack.kafkaBrokers.split(',');
  const log = await KafkaEventLog.open({
    kafka: { brokers, clientId: 'bench', onProblem: rig.say },
    ...{ prefix, partitions: PARTITIONS, replication: 1, minInsyncReplicas: 1, create: true },
  });
  await fill(log, events);
  await log.close();
  return parseSettings({
    SBP_BACKEND: 'kafka',
    SBP_KAFKA_BROKERS: stack.kafkaBrokers,
    SBP_KAFKA_TOPIC_PREFIX: prefix,
    SBP_KAFKA_PARTITIONS: String(PARTITIONS),
    SBP_KAFKA_REPLICATION: '1',
    SBP_KAFKA_MIN_ISR: '1',
    SBP_POSTGRES_URL: await createDatabase(stack.process('postgres').url, `fold_${events}`),
    SBP_JWT_SECRET: randomUUID() + randomUUID(),
    SBP_DATA_DIR: rig.dir,
  });
}

async function embeddedLog(rig: Rig, events: number): Promise<Settings> {
  const name = `fold-${events}`;
  // Makes the folder and its tables.
  await (await rig.embedded(name, (await rig.echoModel()).url)).stop();
  const settings = parseSettings({ SBP_DATA_DIR: path.join(rig.dir, name) });
  const storage = await openIdleStorage(settings, 'bench', logger, TABLES);
  await fill(storage.log, events);
  await storage.close();
  return settings;
}

const fill = (log: EventLog, events: number): Promise<void> =>
  appendAll(log, conversations(events));

/** Folds the log from its beginning into empty tables; resolves with the number of records. */
async function foldAll(settings: Settings, consumer: string, fold: Fold): Promise<number> {
  const storage = await openIdleStorage(settings, 'bench', logger, TABLES);
  const { database, log } = storage;
  const positions = new ConsumerPositions(database);
  await database.dropAll(LOG_TABLES);
  await database.migrate();
  let folded = 0;
  for (let partition = 0; partition < log.partitions; partition++) {
    for await (const batch of replay(log, consumer, partition)) {
      await database.write(async (transaction) => {
        await positions.advance(transaction, batch);
        await fold(transaction, batch);
      });
      folded += batch.records.length;
    }
  }
  await storage.close();
  return folded;
}

function audit(): Fold {
  const trail = new Trail(new Seals(new Uint8Array(32)));
  return (transaction, batch) => trail.append(transaction, batch);
}

function analytics(): Fold {
  const usage = new UsageFold();
  return (transaction, { records }) =>
    usage.apply(
      transaction,
      records.flatMap(({ event }) => (event === null ? [] : [event])),
    );
}

/** `work` resolves with the number of records that it has read. */
function contender(name: string, least: number, work: () => Promise<number>): Contender<Slot> {
  return {
    name: nameOf(name, least),
    measure: async () => {
      const cpuBefore = process.cpuUsage();
      const began = performance.now();
      const events = await work();
      const seconds = (performance.now() - began) / 1000;
      const { user, system } = process.cpuUsage(cpuBefore);
      if (events < least) throw new Error(`${name} has read ${events} events, not ${least}`);
      return { events, seconds, cpuSeconds: (user + system) / 1e6 };
    },
  };
}

function nameOf(name: string, events: number): string {
  return `${name}, ${events} events`;
}

function reportOf(slots: ReadonlyMap<string, readonly Slot[]>): Report {
  const roundsOf = (name: string, events: number) => slots.get(nameOf(name, events)) ?? [];
  const rows = SIZES.flatMap((events) => {
    const bare = roundsOf(BARE, events);
    return [BARE, ...FOLDS].map((name) => {
      const rounds = roundsOf(name, events);
      return {
        name: nameOf(name, events),
        perSecond: Math.round(median(rounds.map(({ events: read, seconds }) => read / seconds))),
        perCore: Math.round(median(rounds.map(perCore))),
        timesBare: rounded(median(ratios(rounds, bare, perCore))),
      };
    });
  });
  const [short, long] = SIZES;
  return {
    title: 'Folds of a log from its beginning, by one process; CPU is that process’s alone',
    columns: ['', 'events/s', 'events/s of CPU', '× bare'],
    rows: rows.map((row) => [
      row.name,
      String(row.perSecond),
      String(row.perCore),
      digits(row.timesBare),
    ]),
    results: rows,
    aims: FOLDS.map((name) => ({
      what: `${name}: an event of ${long} to one of ${short}`,
      got: median(ratios(roundsOf(name, long), roundsOf(name, short), perEvent)),
      comparison: '≤',
      aim: 1.2,
      unit: '×',
    })),
  };
}

const perCore = ({ events, cpuSeconds }: Slot): number => events / cpuSeconds;
const perEvent = ({ events, seconds }: Slot): number => seconds / events;

/** Round by round, one figure against the other. */
function ratios(
  rounds: readonly Slot[],
  others: readonly Slot[],
  figure: (slot: Slot) => number,
): readonly number[] {
  return rounds.map((slot, round) => {
    const other = others[round];
    return other === undefined ? Number.NaN : figure(slot) / figure(other);
  });
}
