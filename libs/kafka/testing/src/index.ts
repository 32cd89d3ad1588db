export { KafkaProxy } from './kafka-proxy.js';
export type { AnswerFate } from './kafka-proxy.js';
