import type { KafkaMessage } from 'kafkajs';
import { eventCodec } from '#libs/protocol';
import type { LogRecord } from '../ports/event-log.js';

/** Reads one record of the log. */
export function decodeRecord(partition: number, message: KafkaMessage): LogRecord {
  const { key, value, offset } = message;
  const position = { partition, offset: Number(offset) };
  const read = eventCodec.read(key?.toString() ?? '', value?.toString() ?? '');
  return { position, ...read, raw: { key, value } };
}
