import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { connect } from 'node:net';
import type { Socket } from 'node:net';
import path from 'node:path';
import { Controller, Get, Injectable, Module } from '@nestjs/common';
import type { OnModuleDestroy } from '@nestjs/common';
import { createLogger } from '#libs/telemetry';
import { describe, expect, it } from 'vitest';
import { addressOf } from '../health/announce.js';
import { HealthModule } from '../health/health.module.js';
import { parseSettings } from '../settings/settings.js';
import { createHttpApp } from '../http/http-app.js';

describe('closing on a signal', () => {
  /** A process that closes as told; plain Node strips the types of the one file it imports. */
  async function processThatCloses(close: string) {
    const script = `
      const { closeOnSignals } = await import(${JSON.stringify(path.join(import.meta.dirname, 'shutdown.ts'))});
      const say = (_fields, message) => console.log(message);
      closeOnSignals({ close: ${close} }, { info: say, error: say });
      setInterval(() => undefined, 1000);
      console.log('up');`;
    const child = spawn(process.execPath, ['--input-type=module', '--eval', script], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    let output = '';
    child.stdout.on('data', (chunk: Buffer) => (output += chunk.toString()));
    await expect.poll(() => output).toContain('up');
    return { child, output: () => output, exit: once(child, 'exit') };
  }

  it.each(['SIGTERM', 'SIGINT'] as const)('%s closes, then exits 0', async (signal) => {
    const { child, exit, output } = await processThatCloses(`async () => console.log('closed')`);
    child.kill(signal);
    expect(await exit).toEqual([0, null]);
    expect(output()).toContain('closed');
  });

  it('exits 1 when closing fails', async () => {
    const { child, exit } = await processThatCloses(`async () => { throw new Error('stuck') }`);
    child.kill('SIGTERM');
    expect(await exit).toEqual([1, null]);
  });

  it('exits at once on a second signal', async () => {
    const { child, exit, output } = await processThatCloses('() => new Promise(() => undefined)');
    child.kill('SIGINT');
    await expect.poll(output).toContain('Closing');
    child.kill('SIGINT');
    expect(await exit).toEqual([1, null]);
  });

  it('exits 1 within 10 s when closing hangs', async () => {
    const { child, exit } = await processThatCloses('() => new Promise(() => undefined)');
    child.kill('SIGTERM');
    expect(await exit).toEqual([1, null]);
  });
});

describe('an application that closes', () => {
  let begun = 0;
  const mayFinish = Promise.withResolvers<undefined>();
  const draining = Promise.withResolvers<undefined>();
  const drained = Promise.withResolvers<undefined>();

  @Controller('turn')
  class TurnController {
    @Get()
    async turn(): Promise<object> {
      begun += 1;
      await mayFinish.promise;
      return { done: true };
    }
  }

  @Injectable()
  class Drain implements OnModuleDestroy {
    async onModuleDestroy(): Promise<void> {
      draining.resolve(undefined);
      await drained.promise;
    }
  }

  @Module({ controllers: [TurnController], providers: [Drain] })
  class TurnModule {}

  it('finishes what it began, begins nothing new, and stays alive meanwhile', async () => {
    const logger = createLogger('test', 'silent');
    const health = HealthModule.register({ backend: 'test', checks: [], logger });
    const root = { module: TurnModule, imports: [health] };
    const app = await createHttpApp(root, parseSettings({}), logger);
    await app.listen(0, '127.0.0.1');
    const url = addressOf(app);
    // Two requests at work keep their connections open.
    const [first, second] = [new Connection(url), new Connection(url)];
    first.send('/turn');
    second.send('/turn');
    await expect.poll(() => begun).toBe(2);

    const closed = app.close();
    await draining.promise;
    // Who comes on a new connection is told that nothing was begun, not turned away.
    const refused = await fetch(`${url}/turn`);
    expect([refused.status, refused.headers.get('x-sbp-draining')]).toEqual([503, '1']);
    expect((await fetch(`${url}/health/ready`)).status).toBe(503);
    const live = await fetch(`${url}/health/live`);
    expect([live.status, live.headers.get('x-sbp-draining')]).toEqual([200, null]);
    first.send('/turn');
    second.send('/health/live');
    mayFinish.resolve(undefined);
    await expect.poll(() => first.answers()).toEqual(['200', '503']);
    await expect.poll(() => second.answers()).toEqual(['200', '200']);
    expect(begun).toBe(2);
    expect(first.text).toContain('SBP_UPSTREAM_UNAVAILABLE');
    expect(first.text.toLowerCase()).toContain('retry-after: 1');
    expect(first.text.toLowerCase()).toContain('x-sbp-draining: 1');
    drained.resolve(undefined);
    await closed;
    await expect(fetch(`${url}/health/live`)).rejects.toMatchObject({
      cause: { code: 'ECONNREFUSED' },
    });
  });
});

/** One connection, on which requests follow one another without waiting. */
class Connection {
  text = '';
  private readonly socket: Socket;

  constructor(url: string) {
    this.socket = connect(Number(new URL(url).port), '127.0.0.1');
    this.socket
      .on('data', (chunk: Buffer) => (this.text += chunk.toString()))
      .on('error', () => undefined);
  }

  send(path: string): void {
    this.socket.write(`GET ${path} HTTP/1.1\r\nHost: localhost\r\n\r\n`);
  }

  /** The statuses so far. */
  answers(): string[] {
    return [...this.text.matchAll(/HTTP\/1\.1 (\d+)/g)].map(([, status]) => status ?? '');
  }
}
