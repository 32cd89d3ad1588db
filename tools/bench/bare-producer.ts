import { randomUUID } from 'node:crypto';
import { Kafka, Partitioners, logLevel } from 'kafkajs';
import type { Producer } from 'kafkajs';
import type { LogEventOf } from '#libs/protocol';

const SESSIONS = 500;
const ANSWER = 'The quick brown fox jumps over the lazy dog. '.repeat(30);

/** kafkajs as it is, with what the log promises: one send in flight, acknowledged by all. */
export async function bareProducer(brokers: readonly string[]): Promise<Producer> {
  const kafka = new Kafka({
    brokers: [...brokers],
    clientId: 'bench-bare',
    logLevel: logLevel.ERROR,
  });
  const producer = kafka.producer({
    idempotent: true,
    maxInFlightRequests: 1,
    allowAutoTopicCreation: false,
    createPartitioner: Partitioners.DefaultPartitioner,
  });
  await producer.connect();
  return producer;
}

/** The ends of turns, of about 1.8 KB. */
export function turnEnds(): LogEventOf<'turn.completed'>[] {
  return Array.from({ length: SESSIONS }, () => ({
    id: randomUUID(),
    type: 'turn.completed',
    schema: 1,
    session_id: randomUUID(),
    turn_id: randomUUID(),
    epoch: Date.now(),
    occurred_at: new Date().toISOString(),
    by: { principal: 'anonymous', via: 'http' },
    data: {
      message_count: 1,
      bytes: ANSWER.length,
      model_used: 'gpt-4o',
      usage: { prompt_tokens: 20, completion_tokens: 300 },
      cost_usd: 0.001,
      snapshot_id: randomUUID(),
      caller: 'connected',
      first_token_ms: 200,
      model_ms: 2_000,
    },
    content: { messages: [{ role: 'assistant', content: ANSWER }] },
  }));
}
