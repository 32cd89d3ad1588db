import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { openTracing } from './otlp-tracing.js';
import type { Tracing } from './tracing.js';
import { NO_TRACING } from './tracing.js';

const closing: (() => Promise<unknown>)[] = [];

afterEach(async () => {
  await Promise.all(closing.splice(0).map((close) => close()));
});

/** A collector, and all that it was sent. */
async function collector() {
  let sent = '';
  const server = createServer((request, response) => {
    request.on('data', (part: Buffer) => (sent += part.toString()));
    request.on('end', () => response.end('{}'));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  closing.push(() => new Promise((resolve) => server.close(resolve).closeAllConnections()));
  const { port } = server.address() as AddressInfo;
  return { url: `http://127.0.0.1:${port}`, sent: () => sent };
}

const traceOf = (tracing: Tracing): string => tracing.traceparent()?.split('-')[1] ?? '';

describe('traces', () => {
  it('are sent at the end, without the message of what was thrown', async () => {
    const { url, sent } = await collector();
    const tracing = await openTracing({ url, service: 'test', percent: 100 });
    const failing = tracing.span('outer', async (span) => {
      span.set({ 'sbp.turn_id': 't-1' });
      await Promise.resolve();
      return tracing.span('inner', () => Promise.reject(new TypeError('what somebody wrote')));
    });
    await expect(failing).rejects.toThrow('what somebody wrote');
    await tracing.close();
    for (const word of ['outer', 'inner', 't-1', 'TypeError', 'statebridge-test']) {
      expect(sent()).toContain(word);
    }
    expect(sent()).not.toContain('somebody');
  });

  it('go on where another process has begun them, and are kept as it decided', async () => {
    const { url, sent } = await collector();
    const tracing = await openTracing({ url, service: 'test', percent: 0 });
    const trace = '4bf92f3577b34da6a3ce929d0e0e4736';
    const spans = { kept: '01', 'left out': '00' };
    const seen: string[] = [];
    for (const [name, flags] of Object.entries(spans)) {
      const span = tracing.begin(name, `00-${trace}-00f067aa0ba902b7-${flags}`);
      seen.push(tracing.within(span, () => traceOf(tracing)));
      await tracing.within(span, () => tracing.span(`below ${name}`, () => Promise.resolve()));
      span.end();
    }
    tracing.begin('begun here').end();
    await tracing.close();
    expect(seen).toEqual([trace, '']);
    expect(sent()).toContain('below kept');
    expect(sent()).not.toMatch(/left out|begun here/);
  });

  it('of a collector that is away are dropped: what is traced neither waits nor fails', async () => {
    const { url } = await collector();
    await closing.pop()?.();
    const tracing = await openTracing({ url, service: 'test', percent: 100 });
    for (let made = 0; made < 10_000; made++) {
      expect(await tracing.span('lost', () => Promise.resolve(made))).toBe(made);
    }
    closing.push(() => tracing.close());
  });

  it('that are off only call what they are given', async () => {
    expect(
      await NO_TRACING.span('work', () => Promise.resolve(NO_TRACING.traceparent())),
    ).toBeNull();
    expect(NO_TRACING.within(NO_TRACING.begin('work'), () => 1)).toBe(1);
  });
});
