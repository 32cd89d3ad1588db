import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { SseEvent } from './sse-events.js';
import { readSseEvents } from './sse-events.js';
import { UpstreamBroken } from '../upstream/upstream-errors.js';

describe('readSseEvents', () => {
  it('reads data, types, comments, ids and all line ends', async () => {
    const text =
      ': hi\n\ndata: a\n\nevent: error\r\ndata:b\r\n\r\nid: 4\rdata: c\rdata: d\r\rretry: 3\n\ndata: [DONE]\n\ndata: cut';
    expect(await read([Buffer.from(text)])).toEqual([
      { data: 'a' },
      { data: 'b', event: 'error' },
      { data: 'c\nd' },
      { data: '[DONE]' },
    ]);
  });

  it('reads the same events however the bytes are split', async () => {
    const data = fc.string({ unit: 'grapheme' }).map((text) => text.replace(/[\r\n]/g, ' '));
    const event = fc.record({ data, event: fc.option(fc.constantFrom('error', 'ping')) });
    await fc.assert(
      fc.asyncProperty(
        fc.array(event, { maxLength: 8 }),
        fc.constantFrom('\n', '\r\n', '\r'),
        fc.array(fc.nat(), { maxLength: 12 }),
        async (events, end, cuts) => {
          const bytes = Buffer.from(
            events
              .map(
                (one) =>
                  `${one.event === null ? '' : `event: ${one.event}${end}`}data: ${one.data}${end}${end}`,
              )
              .join(''),
          );
          const expected = events.map((one) =>
            one.event === null ? { data: one.data } : { data: one.data, event: one.event },
          );
          expect(await read(split(bytes, cuts))).toEqual(expected);
        },
      ),
    );
  });

  it('refuses an event above its bound, in one read or many, and leaves the body', async () => {
    const part = Buffer.alloc(1024 * 1024, 'x');
    let left = false;
    async function* endless(): AsyncGenerator<Uint8Array> {
      try {
        yield Buffer.from('data: ');
        for (;;) yield await Promise.resolve(part);
      } finally {
        left = true;
      }
    }
    await expect(collect(readSseEvents(endless()))).rejects.toBeInstanceOf(UpstreamBroken);
    expect(left).toBe(true);
    const whole = Buffer.concat([
      Buffer.from('data: '),
      ...Array.from({ length: 11 }, () => part),
      Buffer.from('\n\n'),
    ]);
    await expect(read([whole])).rejects.toBeInstanceOf(UpstreamBroken);
  });

  it('passes on what the body throws, after the events before', async () => {
    const fault = new UpstreamBroken('reset');
    async function* broken(): AsyncGenerator<Uint8Array> {
      yield await Promise.resolve(Buffer.from('data: a\n\ndata: b'));
      throw fault;
    }
    const events: SseEvent[] = [];
    const reading = (async () => {
      for await (const event of readSseEvents(broken())) events.push(event);
    })();
    await expect(reading).rejects.toBe(fault);
    expect(events).toEqual([{ data: 'a' }]);
  });
});

function split(bytes: Uint8Array, cuts: readonly number[]): Uint8Array[] {
  const at = cuts.map((cut) => cut % (bytes.length + 1)).toSorted((one, other) => one - other);
  return [...at, bytes.length].map((end, index) => bytes.subarray(at[index - 1] ?? 0, end));
}

async function read(parts: readonly Uint8Array[]): Promise<SseEvent[]> {
  async function* body(): AsyncGenerator<Uint8Array> {
    for (const part of parts) yield await Promise.resolve(part);
  }
  return collect(readSseEvents(body()));
}

async function collect(events: AsyncIterable<SseEvent>): Promise<SseEvent[]> {
  const all: SseEvent[] = [];
  for await (const event of events) all.push(event);
  return all;
}
