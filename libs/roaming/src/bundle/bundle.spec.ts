import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { Bundle } from '#libs/protocol';
import type { BundleMessage } from '#libs/protocol';
import type { BundleStream } from './bundle.js';
import { canonicalBundle, summaryOf } from './bundle.js';

const AT = '2026-05-10T15:05:00.000Z';
const about = { model_used: null, cost_usd: null, created_at: AT };

const MESSAGES: readonly BundleMessage[] = [
  { role: 'system', content: 'Be brief.', ...about },
  { role: 'user', content: 'Ünïcode ✈ \u{1F600} \u0000', name: 'Ada', ...about },
  { role: 'assistant', content: 'y', ...about, model_used: 'm', cost_usd: 1e-7 },
];

const stream = (messages: readonly BundleMessage[], label: string | null = 'x'): BundleStream => ({
  sbp_version: '1.0',
  exported_at: AT,
  label,
  session: {
    id: '3f2504e0-4f89-41d3-9a0c-0305e82c3301',
    agent_external_id: 'ada',
    status: 'running',
    last_task: null,
    created_at: AT,
    step_count: 1,
  },
  memory: { schema_id: 'https://example.com/memory', payload: { b: [1, 2.5], a: null } },
  state_snapshot: null,
  metadata: { export_id: '3f2504e0-4f89-41d3-9a0c-0305e82c3303', total_cost_usd: 1e-7 },
  messages: async function* () {
    for (const message of messages) yield await Promise.resolve(message);
  },
});

/**
 * JSON with sorted keys and no spaces: canonical for what has no number that JavaScript would write
 * otherwise.
 */
function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (value === null || typeof value !== 'object') return value;
  return Object.fromEntries(
    Object.entries(value)
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([key, each]) => [key, sorted(each)]),
  );
}

async function textOf(bundle: BundleStream): Promise<string> {
  let text = '';
  for await (const piece of canonicalBundle(bundle)) text += piece;
  return text;
}

describe('a bundle', () => {
  // [SBP-L3-03]
  it.for([MESSAGES, MESSAGES.slice(0, 1), []])(
    'written piece by piece is the canonical JSON of the whole',
    async (messages) => {
      const text = await textOf(stream(messages));
      const whole = JSON.parse(text) as Bundle;
      expect(Bundle.parse(whole)).toEqual(whole);
      expect(text).toBe(JSON.stringify(sorted(whole)));
      expect(whole.messages).toEqual(messages);
      expect(whole.metadata.message_count).toBe(messages.length);
    },
  );

  // [SBP-L3-03]
  it('has the SHA-256 of its canonical JSON as its address', async () => {
    const cid = createHash('sha256')
      .update(await textOf(stream(MESSAGES)))
      .digest('hex');
    expect(await summaryOf(stream(MESSAGES))).toEqual({ cid, messageCount: MESSAGES.length });
  });

  it('has another address where anything in it differs', async () => {
    const { cid } = await summaryOf(stream(MESSAGES));
    for (const other of [stream(MESSAGES, null), stream(MESSAGES.slice(1)), stream([])]) {
      expect((await summaryOf(other)).cid).not.toBe(cid);
    }
  });
});
