import { randomUUID } from 'node:crypto';
import { Kafka, logLevel } from 'kafkajs';
import { messageBytes } from '#libs/domain';
import { assistant, sessionOpened, turnCompleted, turnStarted, user } from '#libs/domain/testing';
import type { Append, EventLog } from '#libs/event-log';
import type { LogEvent } from '#libs/protocol';

/** Turns of a session. */
const TURNS = 10;
const QUESTION = [user('And what about the next thing that one could ask?')];
const ANSWER = [assistant('The quick brown fox jumps over the lazy dog. '.repeat(10))];
const TURN_BYTES = messageBytes(QUESTION) + messageBytes(ANSWER);
/** Appends that wait for their acknowledgement at a time. */
const AT_ONCE = 200;

/** At least so many events, of sessions of ten turns each. */
export function* conversations(events: number): Generator<readonly LogEvent[]> {
  for (let made = 0; made < events; made += 1 + 2 * TURNS) yield conversation(randomUUID());
}

function conversation(session: string): readonly LogEvent[] {
  const told = { session, at: new Date().toISOString() };
  const turns = Array.from({ length: TURNS }, (_, after) => {
    const details = { ...told, turn: randomUUID(), after };
    const [keeps, keptBytes] = [2 * after, TURN_BYTES * after];
    return [
      turnStarted(10 + after, { ...details, keeps, keptBytes, messages: QUESTION }),
      turnCompleted(10 + after, { ...details, messages: ANSWER }),
    ];
  });
  return [sessionOpened(10, told), ...turns.flat()];
}

/** Appends each conversation's events in order, those of many conversations at a time. */
export async function appendAll(
  log: EventLog,
  sessions: Iterable<readonly LogEvent[]>,
): Promise<void> {
  const waiting = sessions[Symbol.iterator]();
  const appender = async (): Promise<void> => {
    for (let next = waiting.next(); next.done !== true; next = waiting.next()) {
      const [first, ...rest] = next.value;
      if (first === undefined) continue;
      const outcome = await log.append([first, ...rest] satisfies Append);
      if (outcome.type !== 'appended')
        throw new Error(`the append was rejected: ${outcome.detail}`);
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, appender));
}

/**
 * Reads a topic from its beginning by kafkajs as it is, and does nothing with it; resolves with the
 * number of records.
 */
export async function bareRead(
  brokers: readonly string[],
  topic: string,
  events: number,
): Promise<number> {
  const kafka = new Kafka({ brokers: [...brokers], clientId: 'bare', logLevel: logLevel.ERROR });
  const consumer = kafka.consumer({ groupId: `bare-${randomUUID()}` });
  await consumer.connect();
  await consumer.subscribe({ topic, fromBeginning: true });
  let read = 0;
  await new Promise<void>((resolve, reject) => {
    consumer
      .run({
        autoCommit: false,
        eachBatchAutoResolve: true,
        eachBatch: ({ batch }) => {
          read += batch.messages.length;
          if (read >= events) resolve();
          return Promise.resolve();
        },
      })
      .catch(reject);
  });
  await consumer.disconnect();
  return read;
}
