export { ForwardingEventLog } from './ports/forwarding-event-log.js';
export { EventLog, LogOverloaded, LogUnavailable, MAX_PENDING_BYTES } from './ports/event-log.js';
export { replay } from './replay.js';
export { outageRefusal } from './outage-refusal.js';
export type {
  Append,
  AppendOutcome,
  LogBatch,
  LogPosition,
  LogReader,
  LogRecord,
  LogSubscription,
  RawRecord,
} from './ports/event-log.js';
export { ConsumerPositions } from './consumer-positions.js';
export { LOG_TABLES, eventLogEntities, eventLogMigrations } from './schema.js';
export { SqliteEventLog } from './adapters/sqlite-event-log.js';
export { EventLogTransport } from './transport/event-log-transport.js';
export type { EventLogTransportOptions } from './transport/event-log-transport.js';
export { BatchContext } from './transport/batch-context.js';
export { HandlerErrors } from './transport/handler-errors.js';
export { LogConsumer } from './transport/log-consumer.js';
