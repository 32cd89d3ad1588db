import type { KafkaMessage } from 'kafkajs';
import { decodeEvent } from '#libs/protocol';
import type { LogReader, LogRecord } from '../ports/event-log.js';

/**
 * Reads one record of the log; what is none is reported, and passed over like one of a later
 * version.
 */
export function decodeRecord(
  partition: number,
  message: KafkaMessage,
  operator: Pick<LogReader, 'onProblem'>,
): LogRecord {
  const position = { partition, offset: Number(message.offset) };
  const raw = { key: message.key, value: message.value };
  const decoded = decodeEvent(message.value?.toString() ?? '');
  switch (decoded.type) {
    case 'event':
      return { position, event: decoded.event, raw };
    case 'unknown':
      return { position, event: null, raw };
    case 'malformed':
      operator.onProblem(
        `the record at offset ${message.offset} of partition ${partition} is no event: ${decoded.problem}`,
      );
      return { position, event: null, raw };
  }
}
