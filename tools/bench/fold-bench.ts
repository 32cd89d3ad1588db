import { randomUUID } from 'node:crypto';
import path from 'node:path';
import type { EntityManager } from 'typeorm';
import { ANALYTICS, UsageFold, analyticsSchema } from '#libs/analytics';
import { AUDIT, Seals, Trail, auditSchema } from '#libs/audit';
import type { EventLog, LogBatch } from '#libs/event-log';
import { ConsumerPositions, LOG_TABLES } from '#libs/event-log';
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
      contender('bare kafkajs', events, () => bareRead(backend.brokers, topic, events)),
      ...[
        { where: 'Postgres', settings: kafka },
        { where: 'SQLite', settings: embedded },
      ].flatMap(({ where, settings }) => [
        contender(`projection, ${where}`, events, () => rebuild(settings, logger, [])),
        contender(`audit, ${where}`, events, () => replay(settings, AUDIT, audit())),
        contender(`analytics, ${where}`, events, () => replay(settings, ANALYTICS, analytics())),
      ]),
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
async function replay(settings: Settings, consumer: string, fold: Fold): Promise<number> {
  const storage = await openIdleStorage(settings, 'bench', logger, TABLES);
  const { database, log } = storage;
  const positions = new ConsumerPositions(database);
  await database.dropAll(LOG_TABLES);
  await database.migrate();
  let folded = 0;
  for (let partition = 0; partition < log.partitions; partition++) {
    let from = 0;
    for await (const records of log.read(partition, 0)) {
      const next = (records.at(-1)?.position.offset ?? from - 1) + 1;
      const batch = { consumer, partition, from, next, records, live: false };
      await database.write(async (transaction) => {
        await positions.advance(transaction, batch);
        await fold(transaction, batch);
      });
      from = next;
      folded += records.length;
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
  const perCore = ({ events, cpuSeconds }: Slot): number => events / cpuSeconds;
  const rows = [...slots].map(([name, rounds]) => {
    const bare = slots.get(nameOf('bare kafkajs', Number(/\d+/.exec(name)?.[0]))) ?? [];
    const ratios = rounds.map((slot, round) => {
      const other = bare[round];
      return other === undefined ? Number.NaN : perCore(slot) / perCore(other);
    });
    return {
      name,
      perSecond: Math.round(median(rounds.map(({ events, seconds }) => events / seconds))),
      perCore: Math.round(median(rounds.map(perCore))),
      timesBare: rounded(median(ratios)),
    };
  });
  const [short, long] = SIZES;
  const names = [...slots.keys()]
    .filter((name) => name.endsWith(`, ${short} events`))
    .map((name) => name.slice(0, -`, ${short} events`.length))
    .filter((name) => name !== 'bare kafkajs');
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
    aims: names.map((name) => ({
      what: `${name}: an event of ${long} to one of ${short}`,
      got: median(
        (slots.get(nameOf(name, long)) ?? []).map((slot, round) => {
          const other = slots.get(nameOf(name, short))?.[round];
          if (other === undefined) return Number.NaN;
          return slot.seconds / slot.events / (other.seconds / other.events);
        }),
      ),
      comparison: '≤',
      aim: 1.2,
      unit: '×',
    })),
  };
}
