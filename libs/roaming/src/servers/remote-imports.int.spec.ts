import { createHash, randomUUID } from 'node:crypto';
import canonicalize from 'canonicalize';
import { afterAll, afterEach, beforeAll, beforeEach, expect, it, vi } from 'vitest';
import type { Actor, BundleMessage } from '#libs/protocol';
import { sql } from '#libs/sql';
import { ProcessIdentity, Promises, SessionReads, Transcripts } from '#libs/store';
import { TestBackend } from '#libs/testing';
import { SessionOpener } from '../opening/session-opener.js';
import { RemoteBundles } from './remote-bundles.js';
import type { RemoteOrder } from './remote-imports.js';
import { RemoteImports } from './remote-imports.js';
import type { OtherServer } from '../testing/other-server.js';
import { startOtherServer } from '../testing/other-server.js';

const AT = '2026-05-10T15:05:00.000Z';
const MIB = 1024 * 1024;
const by: Actor = { principal: 'ann', via: 'http', address: '192.0.2.1', request_id: 'r' };

let other: OtherServer;
let body = '';
let backend: TestBackend;
let imports: RemoteImports;

beforeAll(async () => {
  other = await startOtherServer((response) => response.end(body));
});
afterAll(() => other.stop());
beforeEach(async () => {
  backend = await TestBackend.open();
  const { database, sessionLog, freshness } = backend;
  const options = {
    ...{ publicUrl: () => 'http://here', maxBundleBytes: 100 * MIB, othersDead: false },
    onProblem: (_what: string, error: unknown) => {
      throw error;
    },
  };
  const transcripts = new Transcripts(database);
  const opener = new SessionOpener(sessionLog, freshness, new SessionReads(database), transcripts);
  const identity = new ProcessIdentity({ slot: 1, incarnation: randomUUID() });
  imports = new RemoteImports(
    new RemoteBundles(other.client, options),
    ...([other.client, opener, sessionLog, freshness] as const),
    ...([new Promises(database), identity, options] as const),
  );
});
afterEach(() => backend.close());

/** Ann's import of a bundle with these messages. */
function order(...contents: readonly string[]): RemoteOrder {
  const about = { model_used: null, cost_usd: null, created_at: AT };
  const messages = contents.map((content): BundleMessage => ({ role: 'user', content, ...about }));
  const exportId = randomUUID();
  const sourceId = randomUUID();
  body =
    canonicalize({
      ...{ sbp_version: '1.0', exported_at: AT, label: null, memory: null, state_snapshot: null },
      session: {
        ...{ id: sourceId, agent_external_id: 'theirs', status: 'running', last_task: null },
        ...{ created_at: AT, step_count: 1 },
      },
      messages,
      metadata: { export_id: exportId, message_count: messages.length, total_cost_usd: null },
    }) ?? '';
  const cid = createHash('sha256').update(body).digest('hex');
  return {
    claims: { sub: exportId, sid: sourceId, iat: 0, exp: 1, iss: other.url, cid },
    ...{ token: 'token', principal: 'ann', by },
    request: { roaming_token: 'token', allow_reuse: true },
    target: { sessionId: randomUUID(), bodyHash: null },
  };
}

const turnRows = async (): Promise<number> => {
  const { rows } = await backend.database.read(
    (reader) => sql(reader)<{ n: number }>`SELECT COUNT(*) AS n FROM turns`,
  );
  return rows[0]?.n ?? Number.NaN;
};

// [SBP-L3-22]
it('a copy of another server’s export is opened by whoever has asked for it', async () => {
  const asked = order('Hello.');
  await imports.reuse(asked);
  const events = await backend.events(asked.target.sessionId);
  expect(events.map(({ type }) => type)).toEqual(['session.restored', 'session.opened']);
  expect(events.map((event) => event.by)).toEqual([by, by]);
});

// [SBP-L6-05]
it.each(['reuse', 'begin'] as const)(
  'an import (%s) that fails on its way leaves no rows of what it has copied',
  async (way) => {
    // No record of the log takes the second message, with what stands around it.
    const large = 'x'.repeat(10 * MIB - 300);
    const asked = order('x'.repeat(2 * MIB), large);
    await expect(imports[way](asked)).rejects.toMatchObject({ code: 'SBP_PAYLOAD_TOO_LARGE' });
    const types = (await backend.events(asked.target.sessionId)).map(({ type }) => type);
    expect(types).toEqual(['session.restored', 'import.abandoned']);
    await vi.waitFor(async () => expect(await turnRows()).toBe(0));
  },
);
