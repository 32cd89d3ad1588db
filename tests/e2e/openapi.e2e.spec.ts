import { execFile } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openApiDocument } from '#libs/protocol';
import { findChromium } from '../../tools/infrastructure/index.js';
import { request } from './clients/agent.js';
import { startEmbedded } from './topology/embedded.js';
import type { Server } from './topology/server.js';

let server: Server;
beforeAll(async () => {
  server = await startEmbedded();
});
afterAll(() => server.stop());

describe('the description of the API', () => {
  // [SBP-SEC-11]
  it('is served as OpenAPI', async () => {
    const { status, json } = await request(`${server.url}/openapi.json`);
    expect(status).toBe(200);
    expect(json).toEqual(JSON.parse(JSON.stringify(openApiDocument())));
  });

  // [SBP-SEC-11]
  it('has a page to try it, which needs nothing from elsewhere', { timeout: 180_000 }, async () => {
    const profile = await mkdtemp(path.join(tmpdir(), 'statebridge-docs-'));
    const { stdout } = await promisify(execFile)(
      await findChromium(),
      [
        ...['--headless=new', '--disable-gpu', '--no-first-run', `--user-data-dir=${profile}`],
        ...['--disable-background-networking', '--disable-component-update', '--disable-sync'],
        ...(process.getuid?.() === 0 ? ['--no-sandbox'] : []),
        // Until the page has drawn what it has fetched.
        ...['--virtual-time-budget=60000', '--dump-dom', `${server.url}/docs`],
      ],
      { maxBuffer: 64 * 1024 * 1024 },
    ).finally(() => rm(profile, { recursive: true, force: true, maxRetries: 10 }));
    expect(stdout).toContain('Run a turn: OpenAI’s Chat Completions');
    expect(stdout).toContain('Hand the session over to another agent');
    const page = await request(`${server.url}/docs`);
    expect(page.headers.get('content-security-policy')).toContain("default-src 'self'");
    expect((await request(`${server.url}/docs/..%2Fpackage.json`)).status).toBe(404);
  });
});
