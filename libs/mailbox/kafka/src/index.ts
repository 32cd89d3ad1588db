/** Mailboxes on Kafka, apart from the rest: an embedded server does not load Kafka's client. */
export { KafkaMailbox } from '../../src/adapters/kafka-mailbox.js';
