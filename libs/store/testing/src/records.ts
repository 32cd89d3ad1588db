import type { EventCodec, LogEvent } from '#libs/protocol';
import { eventCodec } from '#libs/protocol';
import type { FoldRecord } from '../../src/projection/record-fold.js';

/** Events as records of a partition, from an offset on. */
export function recordsOf(events: readonly LogEvent[], from = 0): readonly FoldRecord[] {
  return events.map((event, index) => ({
    key: event.session_id,
    text: JSON.stringify(event),
    event,
    unread: null,
    position: { offset: from + index },
  }));
}

/** Records as they stand in the log, each with its key, as a version reads them. */
export function readBy(
  written: readonly (readonly [key: string, text: string])[],
  { from = 0, codec = eventCodec }: { readonly from?: number; readonly codec?: EventCodec } = {},
): readonly FoldRecord[] {
  return written.map(([key, text], index) => ({
    ...codec.read(key, text),
    position: { offset: from + index },
  }));
}
