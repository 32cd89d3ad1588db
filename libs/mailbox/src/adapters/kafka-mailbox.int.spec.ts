import { randomUUID } from 'node:crypto';
import { inject } from 'vitest';
import { describeMailbox } from '../mailbox.contract.js';
import { KafkaMailbox } from './kafka-mailbox.js';

describeMailbox('Kafka', () => {
  const kafka = {
    brokers: inject('SBP_TEST_KAFKA_BROKERS').split(','),
    clientId: 'mailbox-test',
    onProblem: () => undefined,
  };
  const options = { kafka, prefix: `mailbox-${randomUUID()}`, replication: 1 };
  const sender = new KafkaMailbox(options);
  const receiver = new KafkaMailbox(options);
  const close = async (): Promise<void> => {
    await Promise.all([sender.close(), receiver.close()]);
  };
  return Promise.resolve({ sender, receiver, close });
});
