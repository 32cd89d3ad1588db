import { createHash, randomUUID } from 'node:crypto';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { RoamingClaims } from '#libs/protocol';
import { canonicalBundle } from '../bundle/bundle.js';
import { RemoteBundles } from './remote-bundles.js';
import { startOtherServer } from '../testing/other-server.js';

const AT = '2026-05-10T15:05:00.000Z';
const EXPORT = '3f2504e0-4f89-41d3-9a0c-0305e82c3303';
const message = { model_used: null, cost_usd: null, created_at: AT };
const MESSAGES = [
  { role: 'user' as const, content: 'Hello.', ...message },
  { role: 'assistant' as const, content: 'Hello, Ada.', ...message },
];

async function bundleText(): Promise<string> {
  let text = '';
  const pieces = canonicalBundle({
    ...{ sbp_version: '1.0', exported_at: AT, label: null },
    session: {
      ...{ id: randomUUID(), agent_external_id: 'ada', status: 'running', last_task: null },
      ...{ created_at: AT, step_count: 1 },
    },
    ...{ memory: { schema_id: 'https://example.com/memory', payload: {} }, state_snapshot: null },
    metadata: { export_id: EXPORT, total_cost_usd: null },
    messages: async function* () {
      for (const each of MESSAGES) yield await Promise.resolve(each);
    },
  });
  for await (const piece of pieces) text += piece;
  return text;
}

describe('a bundle of another server', () => {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(path.join(tmpdir(), 'statebridge-bundles-'));
    vi.stubEnv('TMPDIR', folder);
  });
  afterEach(() => {
    vi.unstubAllEnvs();
    rmSync(folder, { recursive: true });
  });

  it('has no name in the temporary folder, so nothing of it outlives the process', async () => {
    const text = await bundleText();
    const other = await startOtherServer((response) => response.end(text));
    const bundles = new RemoteBundles(other.client, {
      ...{ publicUrl: () => 'http://localhost', maxBundleBytes: 10_000, othersDead: false },
      onProblem: () => undefined,
    });
    try {
      const cid = createHash('sha256').update(text).digest('hex');
      const claims = { cid, iss: other.url, sub: EXPORT } as RoamingClaims;
      const bundle = await bundles.fetch(claims, 'token');
      expect(readdirSync(folder)).toEqual([]);
      // It can be read more than once.
      for (let round = 0; round < 2; round += 1) {
        expect(await Array.fromAsync(bundle.messages())).toEqual(MESSAGES);
      }
      await bundle.letGo();
      const odd = { ...claims, cid: 'f'.repeat(64) };
      await expect(bundles.fetch(odd, 'token')).rejects.toMatchObject({
        code: 'SBP_TOKEN_INTEGRITY',
      });
      expect(readdirSync(folder)).toEqual([]);
    } finally {
      await other.stop();
    }
  });
});
