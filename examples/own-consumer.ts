// A consumer of one's own on the turn log: a line for each turn that completed.
import { Kafka } from 'kafkajs';

/** What this reads of an event; docs/reference/asyncapi.json has all of it. */
interface TurnEvent {
  readonly type: string;
  readonly session_id: string;
  readonly turn_id?: string;
  readonly epoch?: number;
  readonly data: {
    readonly model_used?: string;
    readonly usage?: { readonly prompt_tokens: number; readonly completion_tokens: number } | null;
  };
}

const topic = `${process.env['SBP_KAFKA_TOPIC_PREFIX'] ?? 'sbp'}.turns`;
const brokers = (process.env['SBP_KAFKA_BROKERS'] ?? 'localhost:9092').split(',');
const consumer = new Kafka({ brokers }).consumer({ groupId: 'own-consumer' });

// #region counts
/**
 * By session, the attempt that holds it. An acknowledged event need not be an accepted one: a
 * process that lost its turn may still have written an end, with an epoch of the past. One that is
 * to survive a restart keeps this in its database, in the transaction of the offset.
 */
const attempts = new Map<string, { readonly epoch: number; readonly turn: string | undefined }>();

function isAccepted({ type, session_id, turn_id, epoch }: TurnEvent): boolean {
  // Only events of a claim have an epoch; no other begins or ends a turn.
  if (epoch === undefined || type === 'session.opened' || type === 'session.restored') return false;
  const held = attempts.get(session_id) ?? { epoch: 0, turn: undefined };
  if (epoch > held.epoch) {
    const goesOn = type === 'turn.started' || (type === 'turn.adopted' && turn_id === held.turn);
    attempts.set(session_id, { epoch, turn: goesOn ? turn_id : undefined });
    return false;
  }
  const isEnd = ['turn.completed', 'turn.failed', 'turn.cancelled'].includes(type);
  if (!isEnd || epoch !== held.epoch || turn_id !== held.turn) return false;
  attempts.set(session_id, { epoch, turn: undefined });
  return type === 'turn.completed';
}
// #endregion

function print({ session_id, data: { model_used: model = '', usage } }: TurnEvent): void {
  const tokens = `${usage?.prompt_tokens ?? '?'} + ${usage?.completion_tokens ?? '?'} tokens`;
  console.log(`${session_id} ${model} ${tokens}`);
}

await consumer.connect();
await consumer.subscribe({ topic, fromBeginning: true });
await consumer.run({
  eachMessage: ({ message }) => {
    const event = JSON.parse(String(message.value)) as TurnEvent;
    if (isAccepted(event)) print(event);
    return Promise.resolve();
  },
});
