// A consumer of one's own on the turn log: a line for each turn that completed.
import { Kafka } from 'kafkajs';
import { isCompletedTurn } from './counted-turns.ts';
import type { TurnEvent } from './counted-turns.ts';

const topic = `${process.env['SBP_KAFKA_TOPIC_PREFIX'] ?? 'sbp'}.turns`;
const brokers = (process.env['SBP_KAFKA_BROKERS'] ?? 'localhost:9092').split(',');
const consumer = new Kafka({ brokers }).consumer({ groupId: 'own-consumer' });

function print({ session_id, data: { model_used: model = '', usage } }: TurnEvent): void {
  const tokens = `${usage?.prompt_tokens ?? '?'} + ${usage?.completion_tokens ?? '?'} tokens`;
  console.log(`${session_id} ${model} ${tokens}`);
}

await consumer.connect();
await consumer.subscribe({ topic, fromBeginning: true });
await consumer.run({
  eachMessage: ({ message }) => {
    const event = JSON.parse(String(message.value)) as TurnEvent;
    if (isCompletedTurn(event)) print(event);
    return Promise.resolve();
  },
});
