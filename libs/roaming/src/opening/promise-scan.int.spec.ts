import { randomUUID } from 'node:crypto';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { envelope, id, sessionHandedOff, sessionOpened } from '#libs/domain/testing';
import type { LogEvent } from '#libs/protocol';
import {
  ExportReads,
  Lineage,
  ProcessIdentity,
  Promises,
  SessionReads,
  Transcripts,
  TurnEnds,
} from '#libs/store';
import { TestBackend } from '#libs/testing';
import { Bundles } from '../bundle/bundles.js';
import { RemoteBundles } from '../servers/remote-bundles.js';
import { RemoteImports } from '../servers/remote-imports.js';
import { ServerClient } from '../servers/server-client.js';
import { PromiseKeeper } from './promise-keeper.js';
import { PromiseScan } from './promise-scan.js';
import { SessionOpener } from './session-opener.js';

const AWAY = 'http://127.0.0.1:1';
const SOURCE = id(1);
/** Behind all others, in whatever order they are looked at. */
const LAST = 'ffffffff-ffff-4fff-8fff-ffffffffffff';
const dead = { slot: 7, incarnation: randomUUID() };

let backend: TestBackend;
let client: ServerClient;
let scan: PromiseScan;
let problems: number;

beforeEach(async () => {
  backend = await TestBackend.open();
  // Nothing listens there.
  client = new ServerClient({ trusted: [AWAY], allowsPrivate: false });
  problems = 0;
  scan = promiseScan();
});
afterEach(async () => {
  await scan.onModuleDestroy();
  await client.close();
  await backend.close();
});

function promiseScan(): PromiseScan {
  const { database, sessionLog, freshness } = backend;
  const options = {
    ...{ publicUrl: () => 'http://here', maxBundleBytes: 1_000, othersDead: true },
    onProblem: () => void (problems += 1),
  };
  const reads = new SessionReads(database);
  const transcripts = new Transcripts(database);
  const promises = new Promises(database);
  const identity = new ProcessIdentity({ slot: 1, incarnation: randomUUID() });
  const opener = new SessionOpener(sessionLog, freshness, reads, transcripts);
  const remote = new RemoteImports(
    new RemoteBundles(client, options),
    ...([client, opener, sessionLog, freshness, promises, identity, options] as const),
  );
  const keeper = new PromiseKeeper(opener, remote, bundles(), new ExportReads(database), reads);
  return new PromiseScan(promises, backend.processes, keeper, identity, options);
}

function bundles(): Bundles {
  const { database } = backend;
  return new Bundles(
    ...([new SessionReads(database), new Transcripts(database)] as const),
    ...([new TurnEnds(database), new Lineage(database)] as const),
  );
}

/** An import from a server that is away, which a dead process has promised. */
function begun(number: number): LogEvent {
  const session = id(1000 + number);
  const restored = {
    ...{ parts: 0, message_count: 0, bytes: 0, step_count: 0, cost_usd: 0, has_system: false },
  };
  return {
    ...envelope({ session }),
    type: 'import.begun',
    data: {
      ...{ successor: session, opened_epoch: 1, agent_id: 'agent', body_hash: null },
      ...{ export_id: id(9000 + number), principal: 'anonymous', server: AWAY, restored },
      ...{ source_session_id: id(5), source_agent_id: 'theirs', bundle_cid: 'c', message_count: 0 },
      ...{ expires_at: new Date(Date.now() + 3_600_000).toISOString(), maker: dead },
    },
    content: {
      ...{ roaming_token: 'token', label: null, memory: null, state_snapshot: null },
      ...{ exported_at: new Date().toISOString(), began_at: new Date().toISOString() },
    },
  };
}

// [SBP-L6-05] [SBP-L3-30]
it('a promise is kept though more than one scan takes cannot be, and none is forgotten', async () => {
  const away = Array.from({ length: 120 }, (_, at) => begun(at));
  for (const event of away) await backend.append(event);
  const handedOff = sessionHandedOff(20, { session: SOURCE, successor: LAST });
  await backend.append(sessionOpened(10, { session: SOURCE }), {
    ...handedOff,
    data: { ...handedOff.data, maker: dead },
  });
  scan.onModuleInit();
  await vi.waitFor(
    async () => expect(await backend.sessions.state(LAST)).toMatchObject({ phase: 'open' }),
    { timeout: 30_000, interval: 50 },
  );
  expect(problems).toBeGreaterThanOrEqual(away.length);
  const promises = new Promises(backend.database);
  const open = await promises.openOf([dead.incarnation], '', 500);
  expect(open).toEqual(away.map(({ session_id }) => session_id));
});
