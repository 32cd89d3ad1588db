export { API, KafkaProxy } from './kafka-proxy.js';
