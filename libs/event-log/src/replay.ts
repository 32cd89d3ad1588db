import type { EventLog, LogBatch } from './ports/event-log.js';

/** What the log has of a partition now, from its beginning on, as a consumer would be given it. */
export async function* replay(
  log: EventLog,
  consumer: string,
  partition: number,
): AsyncGenerator<LogBatch> {
  let from = 0;
  for await (const records of log.read(partition, 0)) {
    const next = (records.at(-1)?.position.offset ?? from - 1) + 1;
    yield { consumer, partition, from, next, records, live: false };
    from = next;
  }
}
