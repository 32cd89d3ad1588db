import type { LogEvent } from '#libs/protocol';
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
