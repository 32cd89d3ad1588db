import { Controller, Get, Module, Param } from '@nestjs/common';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import { RequestLoad } from '#libs/access';
import { createLogger } from '#libs/telemetry';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { addressOf } from '../health/announce.js';
import { parseSettings } from '../settings/settings.js';
import { createHttpApp } from './http-app.js';

const load = new RequestLoad(2);
let held = Promise.withResolvers<undefined>();
let inside = 0;

@Controller()
class HeldController {
  @Get('held')
  async held(): Promise<string> {
    inside += 1;
    await held.promise;
    return 'done';
  }

  @Get('health')
  health(): string {
    return 'ok';
  }

  @Get('of/:principal')
  async of(@Param('principal') principal: string): Promise<string> {
    load.enter(principal);
    // Its credential may be looked at more than once.
    load.enter(principal);
    return this.held();
  }
}

@Module({ controllers: [HeldController] })
class HeldModule {}

let app: NestFastifyApplication;
let url: string;

beforeAll(async () => {
  const settings = parseSettings({ SBP_MAX_REQUESTS: '3' });
  const logger = createLogger('test', 'silent', { write: () => undefined });
  app = await createHttpApp(HeldModule, settings, logger);
  await app.listen(0, '127.0.0.1');
  url = addressOf(app);
});
afterAll(() => app.close());

const get = async (path: string) => {
  const { status, headers } = await fetch(`${url}/${path}`);
  return { status, retryAfter: headers.get('retry-after') };
};

function hold(...paths: readonly string[]) {
  held = Promise.withResolvers();
  inside = 0;
  return Promise.all(paths.map(get));
}

const entered = (count: number) => vi.waitFor(() => expect(inside).toBe(count));

/** Resolves when all that was held has left, too. */
async function goOn(...answers: readonly ReturnType<typeof hold>[]): Promise<void> {
  held.resolve(undefined);
  for (const { status } of (await Promise.all(answers)).flat()) expect(status).toBe(200);
  await vi.waitFor(async () => expect((await get('held')).status).toBe(200));
}

describe('requests at once', () => {
  // [SBP-LIM-02]
  it('beyond the bound of the process are told 503, while health is answered', async () => {
    const answers = hold('held', 'held', 'held');
    await entered(3);
    expect(await get('held')).toEqual({ status: 503, retryAfter: '1' });
    expect((await get('health')).status).toBe(200);
    await goOn(answers);
  });

  // [SBP-LIM-01]
  it('of one principal beyond his bound are told 429, those of others are answered', async () => {
    const answers = hold('of/ann', 'of/ann');
    await entered(2);
    expect(await get('of/ann')).toEqual({ status: 429, retryAfter: '1' });
    const bob = get('of/bob');
    await entered(3);
    await goOn(answers, Promise.all([bob]));
  });

  it('count until they are answered, also where their caller leaves', async () => {
    const leaving = new AbortController();
    held = Promise.withResolvers();
    inside = 0;
    const left = fetch(`${url}/of/carl`, { signal: leaving.signal }).catch(() => 'left');
    await entered(1);
    leaving.abort();
    expect(await left).toBe('left');
    await vi.waitFor(async () => {
      held.resolve(undefined);
      const both = await Promise.all([get('of/carl'), get('of/carl')]);
      expect(both.map(({ status }) => status)).toEqual([200, 200]);
    });
  });
});
