import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { addressOf, createService, parseSettings } from '#libs/runtime';
import { sbpServer } from '../../apps/sbp-server/src/service.js';

const SESSION_BYTES = 2_000;

let dataDir: string;
let app: NestFastifyApplication;

beforeAll(async () => {
  dataDir = await mkdtemp(path.join(tmpdir(), 'statebridge-bounds-'));
  const settings = parseSettings({
    SBP_PORT: '0',
    SBP_DATA_DIR: dataDir,
    SBP_LOG_LEVEL: 'silent',
    SBP_DEMO_TTFT_MS: '0',
    SBP_SESSION_MAX_BYTES: String(SESSION_BYTES),
    SBP_MAX_TURNS: '1',
  });
  app = await createService(sbpServer(settings), settings, () => 'http://localhost');
  await app.listen(0, '127.0.0.1');
});

afterAll(async () => {
  await app.close();
  await rm(dataDir, { recursive: true, force: true });
});

interface Sbp {
  readonly session_id: string;
}

function complete(
  content: string,
  sbp: object,
  more: { readonly stream?: boolean; readonly signal?: AbortSignal } = {},
): Promise<Response> {
  const { stream = false, signal } = more;
  return fetch(`${addressOf(app)}/v1/chat/completions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ model: 'm', messages: [{ role: 'user', content }], sbp, stream }),
    ...(signal === undefined ? {} : { signal }),
  });
}

async function codeOf(response: Response): Promise<string> {
  return ((await response.json()) as { error: { code: string } }).error.code;
}

describe('what a process carries', () => {
  it('is bounded for one conversation: 413, and nothing of the request is kept', async () => {
    // [SBP-L1-39]
    const first = await complete('Hello.\ndemo: tokens=3', { force_new_session: true });
    const { sbp } = (await first.json()) as { sbp: Sbp };
    const { session_id } = sbp;
    const session = async (): Promise<unknown> =>
      (await fetch(`${addressOf(app)}/v1/sbp/sessions/${session_id}`)).json();
    const before = await session();
    const tooLong = await complete('x'.repeat(SESSION_BYTES), { session_id });
    expect([tooLong.status, await codeOf(tooLong)]).toEqual([413, 'SBP_PAYLOAD_TOO_LARGE']);
    expect(await session()).toEqual(before);
    expect((await complete('Short.\ndemo: tokens=3', { session_id })).status).toBe(200);
  });

  it('is bounded in turns at once: 429 with Retry-After, until one has ended', async () => {
    // [SBP-L1-40]
    const running = await complete(
      'Wait.\ndemo: tokens=60 interval=50',
      { force_new_session: true },
      { stream: true },
    );
    expect(running.status).toBe(200);
    const refused = await complete('Me too.', { force_new_session: true });
    expect([refused.status, await codeOf(refused)]).toEqual([429, 'SBP_RATE_LIMITED']);
    expect(refused.headers.get('retry-after')).toBe('1');
    expect(refused.headers.get('x-should-retry')).toBeNull();
    expect(await running.text()).toContain('[DONE]');
    await expect
      .poll(async () => (await complete('Now.', { force_new_session: true })).status)
      .toBe(200);
  });
});

describe('whether a client is to ask again by itself', () => {
  it('it is not once its turn has started, whatever the error says else', async () => {
    // [SBP-L1-41]
    const broken = await complete('Well?\ndemo: fail=refuse', { force_new_session: true });
    expect([broken.status, await codeOf(broken)]).toEqual([503, 'SBP_UPSTREAM_UNAVAILABLE']);
    expect(broken.headers.get('x-should-retry')).toBe('false');
  });

  it('it is told by 400 that its body is empty', async () => {
    // [SBP-L1-07]
    const empty = await fetch(`${addressOf(app)}/v1/chat/completions`, { method: 'POST' });
    expect([empty.status, await codeOf(empty)]).toEqual([400, 'SBP_INVALID_REQUEST']);
    expect(empty.headers.get('x-should-retry')).toBe('false');
  });
});
