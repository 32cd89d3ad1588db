import { createParser } from 'eventsource-parser';
import { UpstreamBroken } from '../upstream/upstream-errors.js';

/** One event of a server-sent event stream. */
export interface SseEvent {
  readonly data: string;
  /** The event's type where the stream names one. */
  readonly event?: string;
}

/** Longest event, in characters, that is still taken. */
const MAX_EVENT_LENGTH = 10 * 1024 * 1024;

/**
 * Reads server-sent events from a body, however its bytes are split; comments and ids are left out,
 * as is an event that the stream's end cuts off. What the body throws passes through; an event
 * longer than 10 MiB throws `UpstreamBroken`. Leaving the loop early leaves the body too.
 */
export async function* readSseEvents(
  body: AsyncIterable<Uint8Array>,
): AsyncGenerator<SseEvent, void, undefined> {
  const decoder = new TextDecoder();
  let events: SseEvent[] = [];
  let tooLong = false;
  const parser = createParser({
    maxBufferSize: MAX_EVENT_LENGTH,
    onEvent: ({ data, event }) => {
      if (data.length > MAX_EVENT_LENGTH) tooLong = true;
      events.push(event === undefined ? { data } : { data, event });
    },
    onError: (error) => {
      if (error.type === 'max-buffer-size-exceeded') tooLong = true;
    },
  });
  for await (const bytes of body) {
    parser.feed(decoder.decode(bytes, { stream: true }));
    // Checked before anything of this read is passed on: the parser drops what it holds when it
    // overflows.
    if (isSet(tooLong))
      throw new UpstreamBroken(
        `the model sent an event longer than ${MAX_EVENT_LENGTH} characters`,
      );
    if (events.length === 0) continue;
    const ready = events;
    events = [];
    yield* ready;
  }
}

/** Hides from control flow analysis that only callbacks write the flag. */
function isSet(flag: boolean): boolean {
  return flag;
}
