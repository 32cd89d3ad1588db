import { Module } from '@nestjs/common';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import { createLogger } from '#libs/telemetry';
import { afterEach, describe, expect, it } from 'vitest';
import { addressOf, announceWhenReady } from './announce.js';
import { HealthModule } from './health.module.js';
import { parseSettings } from '../settings/settings.js';
import { createHttpApp } from '../http/http-app.js';
import { Readiness, ReadinessCheck } from './readiness.js';

class SwitchedCheck extends ReadinessCheck {
  calls = 0;
  working: () => Promise<void> = () => Promise.resolve();

  constructor(readonly name: string) {
    super();
  }

  check(): Promise<void> {
    this.calls += 1;
    return this.working();
  }
}

const failing = () => Promise.reject(new Error('connect ECONNREFUSED postgres://sbp:pa55word@db'));
const hanging = () => new Promise<void>(() => undefined);

@Module({})
class RootModule {}

const log: string[] = [];
let app: NestFastifyApplication;

async function start(...checks: ReadinessCheck[]): Promise<string> {
  const logger = createLogger('test', 'info', { write: (line) => void log.push(line) });
  const health = HealthModule.register({ backend: 'embedded (SQLite)', checks, logger });
  app = await createHttpApp({ module: RootModule, imports: [health] }, parseSettings({}), logger);
  await app.listen(0, '127.0.0.1');
  return addressOf(app);
}

afterEach(async () => {
  await app.close();
  log.length = 0;
});

const get = async (url: string) => {
  const response = await fetch(url);
  return [response.status, await response.json()];
};

describe('health', () => {
  it('says what this server is', async () => {
    const url = await start();
    expect(await get(`${url}/health`)).toEqual([
      200,
      { status: 'ok', sbp_version: '1.2', sbp_level: 'L5', backend: 'embedded (SQLite)' },
    ]);
  });

  it.each(['/health', '/health/live', '/health/ready'])('answers HEAD %s', async (path) => {
    const response = await fetch(`${await start()}${path}`, { method: 'HEAD' });
    expect([response.status, await response.text()]).toEqual([200, '']);
  });

  // [SBP-SEC-10]
  it('is ready while every check passes, and alive in any case', async () => {
    const store = new SwitchedCheck('store');
    const url = await start(new SwitchedCheck('log'), store);
    expect(await get(`${url}/health/ready`)).toEqual([
      200,
      { status: 'ok', checks: { log: 'ok', store: 'ok' } },
    ]);
    store.working = failing;
    expect(await get(`${url}/health/ready`)).toEqual([
      503,
      { status: 'unavailable', checks: { log: 'ok', store: 'failed' } },
    ]);
    expect(await get(`${url}/health/live`)).toEqual([200, { status: 'ok' }]);
    expect((await fetch(`${url}/health/ready`, { method: 'HEAD' })).status).toBe(503);
    store.working = () => Promise.resolve();
    expect((await get(`${url}/health/ready`))[0]).toBe(200);
  });

  it('tells why in the log only, without credentials, and once', async () => {
    const store = new SwitchedCheck('store');
    store.working = failing;
    const url = await start(store);
    for (let probe = 0; probe < 3; probe += 1)
      expect(JSON.stringify(await get(`${url}/health/ready`))).not.toMatch(/ECONN/);
    const told = log.filter((line) => line.includes('Not ready: store failed'));
    expect(told).toHaveLength(1);
    expect(told[0]).toContain('ECONNREFUSED');
    expect(told[0]).not.toContain('pa55word');
  });

  it('does not wait for a check that hangs, nor ask it again meanwhile', async () => {
    const store = new SwitchedCheck('store');
    store.working = hanging;
    const url = await start(store);
    const answers = await Promise.all([get(`${url}/health/ready`), get(`${url}/health/ready`)]);
    for (const answer of answers)
      expect(answer).toEqual([503, { status: 'unavailable', checks: { store: 'timed out' } }]);
    expect((await get(`${url}/health/ready`))[0]).toBe(503);
    expect(store.calls).toBe(1);
  });

  it('takes checks that come while the application is wired', async () => {
    const url = await start();
    const late = new SwitchedCheck('late');
    late.working = failing;
    app.get(Readiness).add(late);
    expect(await get(`${url}/health/ready`)).toEqual([
      503,
      { status: 'unavailable', checks: { late: 'failed' } },
    ]);
  });
});

describe('the announcement', () => {
  it('is one line with the address, written once the application is ready', async () => {
    const store = new SwitchedCheck('store');
    store.working = failing;
    const url = await start(store);
    const lines: string[] = [];
    const announced = announceWhenReady(
      app,
      new AbortController().signal,
      (line) => void lines.push(line),
    );
    await expect.poll(() => store.calls).toBeGreaterThan(2);
    expect(lines).toEqual([]);
    store.working = () => Promise.resolve();
    await announced;
    expect(lines).toEqual([`{"listening":"${url}"}\n`]);
    expect((await get(`${url}/health/ready`))[0]).toBe(200);
  });

  it('is not made by an application that closes before it was ready', async () => {
    const store = new SwitchedCheck('store');
    store.working = failing;
    await start(store);
    const lines: string[] = [];
    const closing = new AbortController();
    const announced = announceWhenReady(app, closing.signal, (line) => void lines.push(line));
    await expect.poll(() => store.calls).toBeGreaterThan(1);
    closing.abort();
    store.working = () => Promise.resolve();
    await announced;
    expect(lines).toEqual([]);
  });
});
