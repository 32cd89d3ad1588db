import { randomUUID } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, inject, it } from 'vitest';
import type { LogEvent } from '#libs/protocol';
import { Claims } from '#libs/store';
import { createLogger } from '#libs/telemetry';
import { createDatabase } from '../../../../tools/infrastructure/index.js';
import { createTurnsTopic } from '../../../../tools/stack/topic.js';
import {
  ATTACH,
  RUNNER,
  TURN,
  assistant,
  sessionOpened,
  surfaceAcknowledged,
  surfaceAttached,
  turnCompleted,
  turnStarted,
  user,
} from '#libs/domain/testing';
import type { Settings } from '../settings/settings.js';
import { parseSettings } from '../settings/settings.js';
import { rebuild } from './rebuild.js';
import { sessionReportText } from './session-report-text.js';
import type { SessionReport } from './session-report.js';
import { sessionReport } from './session-report.js';
import type { Storage } from './storage.js';
import { openStorage } from './storage.js';

const logger = createLogger('test', 'silent');
const folders: string[] = [];

async function newFolder(): Promise<string> {
  const folder = await mkdtemp(path.join(tmpdir(), 'statebridge-report-'));
  folders.push(folder);
  return folder;
}

afterAll(async () => {
  await Promise.all(folders.map((folder) => rm(folder, { recursive: true, force: true })));
});

async function embedded(): Promise<Settings> {
  return parseSettings({ SBP_BACKEND: 'embedded', SBP_DATA_DIR: await newFolder() });
}

async function onKafka(): Promise<Settings> {
  const prefix = `report-${randomUUID()}`;
  const brokers = inject('SBP_TEST_KAFKA_BROKERS');
  const admin = inject('SBP_TEST_POSTGRES_URL');
  await createTurnsTopic({ brokers, prefix, partitions: 3, replication: 1, minIsr: 1 });
  return parseSettings({
    SBP_BACKEND: 'kafka',
    SBP_DATA_DIR: await newFolder(),
    SBP_KAFKA_BROKERS: brokers,
    SBP_KAFKA_TOPIC_PREFIX: prefix,
    SBP_KAFKA_PARTITIONS: '3',
    SBP_POSTGRES_URL: await createDatabase(admin, prefix.replaceAll('-', '_')),
  });
}

/** Does something to an installation whose server is stopped. */
async function during<T>(settings: Settings, work: (storage: Storage) => Promise<T>): Promise<T> {
  const storage = await openStorage(settings, 'test', logger);
  try {
    return await work(storage);
  } finally {
    await storage.close();
  }
}

describe.each([
  { backend: 'embedded', settingsOf: embedded },
  { backend: 'kafka', settingsOf: onKafka },
])('$backend: the report of a session', ({ settingsOf }) => {
  let settings: Settings;
  let session: string;

  beforeAll(async () => {
    settings = await settingsOf();
  });

  afterEach(() => {
    session = '';
  });

  const report = (withContent = false): Promise<SessionReport> =>
    sessionReport(settings, session, { withContent }, logger);

  /** A claimed session whose first turn has started, with another session's events beside it. */
  async function claimedSession(): Promise<number> {
    session = randomUUID();
    return during(settings, async ({ log, database }) => {
      const opened = await new Claims(database).open({
        sessionId: session,
        turnId: TURN,
        runner: RUNNER,
        principal: 'anonymous',
        agentId: session,
        replaces: 'any',
      });
      if (opened.type !== 'opened') throw new Error('the session was not opened');
      const { epoch } = opened;
      const other = { session: randomUUID() };
      await log.append([sessionOpened(1, other), turnStarted(1, other)]);
      const started = turnStarted(epoch, { session, messages: [user('a secret')] });
      await log.append([sessionOpened(epoch, { session }), started]);
      return epoch;
    });
  }

  it('shows its events alone, the claim, and how far the projector is', async () => {
    const epoch = await claimedSession();
    const found = await report();
    expect(found.events.map(({ event }) => event.type)).toEqual(['session.opened', 'turn.started']);
    expect(found.state).toMatchObject({ phase: 'open', turn: { turnId: TURN, epoch } });
    expect(found.claim).toMatchObject({ turnId: TURN, epoch, runner: RUNNER, process: null });
    expect(found).toMatchObject({ readModels: 'behind', foldedTo: 0, unreadable: 0 });
    expect(found.end).toBeGreaterThan(found.events[1]?.offset ?? Infinity);
  });

  it('shows what people and models wrote only where that is asked for', async () => {
    await claimedSession();
    expect(JSON.stringify(await report())).not.toContain('a secret');
    expect(sessionReportText(await report())).not.toContain('a secret');
    expect(sessionReportText(await report(true))).toContain('a secret');
  });

  it('shows a Tether, and read models that are as the log says', async () => {
    const epoch = await claimedSession();
    await during(settings, async ({ log }) => {
      const completed = turnCompleted(epoch, { session, messages: [assistant('Yes.')] });
      const second = { session, turn: randomUUID(), after: 1 };
      const events: LogEvent[] = [
        surfaceAttached(ATTACH, { session }),
        completed,
        surfaceAcknowledged(1, ATTACH, { session }),
        turnStarted(epoch + 1, second),
        turnCompleted(epoch + 1, second),
      ];
      for (const event of events) await log.append([event]);
    });
    await rebuild(settings, logger, []);
    const found = await report();
    expect(found.tether).toEqual({ cursor: 1, head: 2, owed: 1 });
    expect(found).toMatchObject({ readModels: 'same', foldedTo: found.end, claim: null });
    expect(sessionReportText(found)).toContain('cursor 1, head 2: 1 turn is owed');
  });

  it('tells read models apart that are not the fold of the log', async () => {
    await claimedSession();
    await rebuild(settings, logger, []);
    await during(settings, ({ database }) =>
      database.write(async (transaction) => {
        await transaction.query(`UPDATE sessions SET state = '{"phase":"unopened","epoch":7}'`);
      }),
    );
    const found = await report();
    expect(found.readModels).toBe('different');
    expect(sessionReportText(found)).toContain('DIFFERENT from the log');
    await rebuild(settings, logger, []);
    expect((await report()).readModels).toBe('same');
  });

  it('has nothing of a session that is not there', async () => {
    session = randomUUID();
    expect(await report()).toMatchObject({ events: [], claim: null, tether: null });
  });
});

describe('embedded: the report of a session', () => {
  it('says in plain words that a server runs on the data directory', async () => {
    const settings = await embedded();
    await during(settings, async () => {
      await expect(
        sessionReport(settings, randomUUID(), { withContent: false }, logger),
      ).rejects.toThrow(
        `The data directory ${path.resolve(settings.dataDir)} cannot be used: ` +
          'a server runs on it; stop it first.',
      );
    });
  });

  it('makes no store where there is none', async () => {
    const settings = await embedded();
    await expect(
      sessionReport(settings, randomUUID(), { withContent: false }, logger),
    ).rejects.toThrow('there is no store');
  });
});
