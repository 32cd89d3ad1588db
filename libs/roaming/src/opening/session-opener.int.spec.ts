import { randomUUID } from 'node:crypto';
import { SYSTEM } from '#libs/session-log';
import { Transcripts } from '#libs/store';
import { TestBackend } from '#libs/testing';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import type { Derivation } from './session-opener.js';
import { SessionOpener } from './session-opener.js';

let backend: TestBackend;
let opener: SessionOpener;

beforeEach(async () => {
  backend = await TestBackend.open();
  const { sessionLog, freshness, sessions, database } = backend;
  opener = new SessionOpener(sessionLog, freshness, sessions, new Transcripts(database));
});

afterEach(() => backend.close());

function importOf(sessionId: string): Derivation {
  const conversation = {
    messages: said(),
    steps: 1,
    costUsd: null,
  };
  return {
    ...{ sessionId, epoch: 1, principal: 'anonymous', agentId: 'agent' },
    origin: {
      ...{ type: 'import', session_id: randomUUID(), export_id: randomUUID(), server: null },
      ...{ agent_id: 'other', body_hash: null, message_count: 1 },
    },
    beginning: { type: 'copy', conversation },
    ...{ label: null, note: null, memory: null, stateSnapshot: null, beganAt: null, by: SYSTEM },
  };
}

async function* said() {
  await Promise.resolve();
  const created_at = new Date(0).toISOString();
  yield { role: 'user', content: 'Hello.', model_used: null, cost_usd: null, created_at } as const;
}

// [SBP-OPS-10]
it('nobody waits for a log that does not answer: who asks again gets the session, once', async () => {
  const sessionId = randomUUID();
  const held = Promise.withResolvers<undefined>();
  const appends: string[] = [];
  backend.log.obstacle = async ([{ type }]) => {
    appends.push(type);
    await held.promise;
  };
  const refused = { code: 'SBP_UPSTREAM_UNAVAILABLE', retryAfter: 5 };
  for (let tries = 0; tries < 3; tries += 1) {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    const opening = expect(opener.open(importOf(sessionId))).rejects.toMatchObject(refused);
    await vi.waitFor(() => expect(vi.getTimerCount()).toBeGreaterThan(0));
    await vi.advanceTimersByTimeAsync(15_000);
    vi.useRealTimers();
    await opening;
  }
  // A try does not put its append beside that of the one before.
  expect(appends).toEqual(['session.restored']);
  held.resolve(undefined);
  expect(await opener.open(importOf(sessionId))).toMatchObject({ phase: 'open', messages: 1 });
  const events = await backend.events(sessionId);
  expect(events.filter(({ type }) => type === 'session.opened')).toHaveLength(1);
  expect(await opener.open(importOf(sessionId))).toMatchObject({ phase: 'open', messages: 1 });
});

// [SBP-OPS-10]
it('nobody waits for a fold that does not move, and who asks again gets the session', async () => {
  const sessionId = randomUUID();
  const fold = backend.holdFold();
  const appends: string[] = [];
  backend.log.obstacle = ([{ type }]) => Promise.resolve(void appends.push(type));
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
  const opening = expect(opener.open(importOf(sessionId))).rejects.toMatchObject({
    code: 'SBP_UPSTREAM_UNAVAILABLE',
  });
  await vi.waitFor(() => expect(appends).toContain('session.opened'));
  await vi.advanceTimersByTimeAsync(30_000);
  await opening;
  vi.useRealTimers();
  fold.goOn();
  expect(await opener.open(importOf(sessionId))).toMatchObject({ phase: 'open', messages: 1 });
});
