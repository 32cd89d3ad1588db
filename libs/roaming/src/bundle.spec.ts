import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import type { OpenSession } from '#libs/domain';
import { Bundle } from '#libs/protocol';
import type { TranscriptAsOf } from '#libs/store';
import { bundleCid, makeBundle } from './bundle.js';

const AT = '2026-05-10T15:05:00.000Z';
const SESSION = '3f2504e0-4f89-41d3-9a0c-0305e82c3301';
const TURN = '3f2504e0-4f89-41d3-9a0c-0305e82c3302';
const EXPORT = '3f2504e0-4f89-41d3-9a0c-0305e82c3303';

const session = { agentId: 'ada', createdAt: AT } as OpenSession;
const request = {
  sessionId: SESSION,
  exportId: EXPORT,
  exportedAt: AT,
  label: 'Ünïcode ✈',
  isIdle: false,
};
const entry = { turnId: TURN, createdAt: AT };
const transcript: TranscriptAsOf = {
  system: [{ role: 'system', content: 'Be brief.' }],
  entries: [
    {
      ...entry,
      index: 0,
      message: { role: 'user', content: 'x'.repeat(600), name: 'Ada' },
      modelUsed: null,
      costUsd: null,
    },
    {
      ...entry,
      index: 1,
      message: { role: 'assistant', content: 'y' },
      modelUsed: 'm',
      costUsd: 1e-7,
    },
  ],
  steps: 1,
  totalCostUsd: 1e-7,
};

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

describe('a bundle', () => {
  const bundle = makeBundle(request, session, transcript);

  it('is what the schema says, with the system messages first and the last question as its task', () => {
    expect(Bundle.parse(bundle)).toEqual(bundle);
    expect(bundle.messages.map(({ role }) => role)).toEqual(['system', 'user', 'assistant']);
    expect(bundle.messages[1]).toMatchObject({ name: 'Ada', model_used: null, created_at: AT });
    expect(bundle.session).toMatchObject({
      agent_external_id: 'ada',
      step_count: 1,
      status: 'running',
    });
    expect(bundle.session.last_task).toBe('x'.repeat(500));
    expect(bundle.metadata).toEqual({ export_id: EXPORT, message_count: 3, total_cost_usd: 1e-7 });
  });

  // [SBP-L3-03]
  it('has the SHA-256 of its canonical JSON as its address, in whatever order its fields were set', () => {
    const expected = createHash('sha256')
      .update(JSON.stringify(sorted(bundle)))
      .digest('hex');
    expect(bundleCid(bundle)).toBe(expected);
    const reversed = Object.fromEntries(Object.entries(bundle).reverse()) as Bundle;
    expect(bundleCid(reversed)).toBe(expected);
  });

  it('of a session without a turn is that of an idle one', () => {
    const empty = { system: [], entries: [], steps: 0, totalCostUsd: 0 };
    const idle = makeBundle({ ...request, isIdle: true }, session, empty);
    expect(Bundle.parse(idle)).toEqual(idle);
    expect(idle.session).toMatchObject({ status: 'idle', last_task: null, step_count: 0 });
  });

  it('has another address where anything in it differs', () => {
    expect(bundleCid({ ...bundle, label: null })).not.toBe(bundleCid(bundle));
  });
});
