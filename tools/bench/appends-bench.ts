import { randomUUID } from 'node:crypto';
import path from 'node:path';
import type { Producer } from 'kafkajs';
import { SqliteEventLog, eventLogEntities, eventLogMigrations } from '#libs/event-log';
import { KafkaEventLog, turnsTopic } from '#libs/event-log/kafka';
import type { EventLog } from '#libs/event-log';
import { createTopic } from '#libs/kafka';
import { openSqlite } from '#libs/sql';
import { bareProducer, turnEnds } from './bare-producer.js';
import type { Report } from './report.js';
import { digits, rounded } from './report.js';
import type { Rig } from './rig.js';
import { interleaved } from './rounds.js';
import type { Contender } from './rounds.js';
import { median, medianSpread, spreadOf } from './statistics.js';
import type { Spread } from './statistics.js';

const ROUNDS = 6;
const PARTITIONS = 12;
/** Appends that wait for their acknowledgement at the same time: what one send carries. */
const BATCHES = [1, 200] as const;

interface Slot {
  readonly perSecond: number;
  /** From a message's being handed over until it is acknowledged, in ms. */
  readonly latency: Spread;
}

/**
 * `EventLog.append` on Kafka against bare kafkajs that sends the same bytes, as many at a time;
 * SQLite for information.
 */
export async function appendsBench(rig: Rig, seconds: number): Promise<Report> {
  const brokers = await rig.kafkaBrokers();
  rig.say('Measuring appends …');
  const kafka = { brokers, clientId: 'bench', onProblem: (problem: string) => rig.say(problem) };
  const settings = { partitions: PARTITIONS, replication: 1, minInsyncReplicas: 1 };
  const log = await KafkaEventLog.open({
    kafka,
    prefix: `bench-${randomUUID()}`,
    create: true,
    ...settings,
  });
  const bareTopic = { ...turnsTopic({ ...settings, prefix: `bare-${randomUUID()}` }) };
  await createTopic(kafka, bareTopic);
  const producer = await bareProducer(brokers);
  const schema = { entities: eventLogEntities('sqlite'), migrations: eventLogMigrations('sqlite') };
  const database = await openSqlite({ file: path.join(rig.dir, 'appends.sqlite'), ...schema });
  const sqlite = new SqliteEventLog(database);
  const contenders = BATCHES.flatMap((batch) => [
    bareContender(producer, bareTopic.topic, batch),
    logContender('Kafka', log, batch),
    logContender('SQLite', sqlite, batch),
  ]);
  const slotMs = (seconds * 1000) / 3 / (contenders.length * (ROUNDS + 1));
  const slots = await interleaved(contenders, ROUNDS, slotMs);
  await Promise.all([
    log.close(),
    producer.disconnect(),
    sqlite.close().then(() => database.close()),
  ]);
  return reportOf(slots);
}

/** Serialised beforehand: the bare producer has nothing to do but to send. */
function bareContender(producer: Producer, topic: string, batch: number): Contender<Slot> {
  const messages = turnEnds().map((event) => ({
    key: event.session_id,
    value: Buffer.from(JSON.stringify(event)),
  }));
  let next = 0;
  return {
    name: nameOf('bare kafkajs', batch),
    measure: async (until) => {
      const latencies: number[] = [];
      const began = performance.now();
      let sent = 0;
      do {
        const send = Array.from(
          { length: batch },
          () => messages[next++ % messages.length] ?? { value: null },
        );
        const since = performance.now();
        await producer.send({ topic, acks: -1, messages: send });
        latencies.push(performance.now() - since);
        sent += batch;
      } while (!until());
      return {
        perSecond: (sent / (performance.now() - began)) * 1000,
        latency: spreadOf(latencies),
      };
    },
  };
}

function logContender(kind: string, log: EventLog, batch: number): Contender<Slot> {
  const all = turnEnds();
  let next = 0;
  return {
    name: nameOf(`${kind} log`, batch),
    measure: async (until) => {
      const latencies: number[] = [];
      const began = performance.now();
      const appender = async (): Promise<void> => {
        do {
          const event = all[next++ % all.length];
          if (event === undefined) throw new Error('there are no events');
          const since = performance.now();
          const outcome = await log.append([event]);
          if (outcome.type !== 'appended')
            throw new Error(`the append was rejected: ${outcome.detail}`);
          latencies.push(performance.now() - since);
        } while (!until());
      };
      await Promise.all(Array.from({ length: batch }, appender));
      return {
        perSecond: (latencies.length / (performance.now() - began)) * 1000,
        latency: spreadOf(latencies),
      };
    },
  };
}

function nameOf(who: string, batch: number): string {
  return `${who}, ${batch} at a time`;
}

function reportOf(slots: ReadonlyMap<string, readonly Slot[]>): Report {
  const rows = BATCHES.flatMap((batch) => {
    const bare = slots.get(nameOf('bare kafkajs', batch)) ?? [];
    return ['bare kafkajs', 'Kafka log', 'SQLite log'].map((who) => {
      const rounds = slots.get(nameOf(who, batch)) ?? [];
      const { p50, p99 } = medianSpread(rounds.map(({ latency }) => latency));
      return {
        name: nameOf(who, batch),
        perSecond: Math.round(median(rounds.map(({ perSecond }) => perSecond))),
        p50: rounded(p50),
        p99: rounded(p99),
        timesBare: rounded(
          median(rounds.map(({ perSecond }, round) => perSecond / (bare[round]?.perSecond ?? NaN))),
        ),
      };
    });
  });
  return {
    title: 'Appends of 1.8 KB to 12 partitions, acks=all, one send in flight',
    columns: ['', 'per second', 'ack p50 ms', 'p99', '× bare'],
    rows: rows.map((row) => [
      row.name,
      String(row.perSecond),
      ...[row.p50, row.p99, row.timesBare].map(digits),
    ]),
    results: rows,
    aims: rows
      .filter(({ name }) => name.startsWith('Kafka log'))
      .map(({ name, timesBare }) => ({
        what: `${name}: appends per second to bare`,
        got: timesBare,
        comparison: '≥',
        aim: 0.9,
        unit: '×',
      })),
  };
}
