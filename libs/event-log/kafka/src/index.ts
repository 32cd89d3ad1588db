/** The log on Kafka, apart from the rest: an embedded server does not load Kafka's client. */
export { KafkaEventLog, turnsTopic } from '../../src/adapters/kafka-event-log.js';
