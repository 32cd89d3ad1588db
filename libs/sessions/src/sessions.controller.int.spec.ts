import type { FastifyRequest } from 'fastify';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { RequestLoad, SessionAccess } from '#libs/access';
import { Principals, SessionTokens } from '#libs/auth';
import {
  SESSION,
  TURN,
  assistant,
  id,
  instant,
  sessionOpened,
  surfaceAcknowledged,
  surfaceAttached,
  surfaceDetached,
  turnCompleted,
  turnFailed,
  turnStarted,
  user,
} from '#libs/domain/testing';
import { MessagesResponse, SessionResponse } from '#libs/protocol';
import {
  Freshness,
  ProjectionProgress,
  SessionList,
  SessionReads,
  ToolReads,
  Transcripts,
} from '#libs/store';
import type { TestStore } from '#libs/store/testing';
import { openTestStore } from '#libs/store/testing';
import { SessionsController } from './sessions.controller.js';

const tokens = new SessionTokens(Buffer.from('a secret of the tests'));
let store: TestStore;
let controller: SessionsController;

beforeAll(async () => {
  store = await openTestStore('sqlite');
  const reads = new SessionReads(store.database);
  const log = { partitions: 1, partitionOf: () => 0, end: () => Promise.resolve(0) };
  const freshness = new Freshness(
    store.database,
    log,
    new ProjectionProgress(() => Promise.resolve(new Map())),
  );
  const access = new SessionAccess(
    new Principals({ type: 'open' }),
    new RequestLoad(1),
    tokens,
    freshness,
    reads,
  );
  const tools = new ToolReads(store.database);
  controller = new SessionsController(
    access,
    new Transcripts(store.database),
    reads,
    tools,
    new SessionList(store.database),
  );
});
afterAll(() => store.close());
beforeEach(() => store.clear());

const request = (token?: string): FastifyRequest =>
  ({
    headers: token === undefined ? {} : { 'x-session-token': token },
  }) as unknown as FastifyRequest;
const session = (sessionId: string = SESSION, token?: string) =>
  controller.session(sessionId, request(token));
const opened = [
  sessionOpened(10, { at: instant(0) }),
  turnStarted(10, { messages: [user('one')], at: instant(1) }),
] as const;
const answered = [...opened, turnCompleted(10, { snapshot: id(7), at: instant(2) })] as const;

describe('GET a session', () => {
  it('shows what was folded of it', async () => {
    await store.fold(...answered);
    const found = await session();
    expect(found).toEqual({
      session_id: SESSION,
      status: 'running',
      status_reason: null,
      agent_id: 'agent',
      label: null,
      step_count: 1,
      message_count: 2,
      turn_in_flight: null,
      surface: null,
      queued_turns: 0,
      last_checkpoint: instant(2),
      snapshot_id: id(7),
      created_at: instant(0),
      updated_at: instant(2),
    });
    expect(SessionResponse.parse(found)).toEqual(found);
  });

  it('shows the turn in flight', async () => {
    await store.fold(...opened);
    expect(await session()).toMatchObject({
      status: 'running',
      turn_in_flight: TURN,
      step_count: 0,
      message_count: 1,
    });
  });

  it('shows the surface, and what waits for it', async () => {
    const context = { device_type: 'mobile', surface_id: 'phone' };
    await store.fold(
      ...opened,
      surfaceAttached(undefined, { context, at: instant(1) }),
      turnCompleted(10),
    );
    const surface = { surface_id: 'phone', device_type: 'mobile', attached_at: instant(1) };
    expect(await session()).toMatchObject({ status: 'running', surface, queued_turns: 1 });
    await store.fold(surfaceAcknowledged(1));
    expect(await session()).toMatchObject({ queued_turns: 0 });
  });

  it('shows one whose surface is gone as suspended, unless a turn runs: that is computed, and blocks nothing', async () => {
    await store.fold(...answered, surfaceAttached(), surfaceDetached());
    expect(await session()).toMatchObject({
      status: 'suspended',
      status_reason: 'surface_gone',
      surface: null,
    });
    await store.fold(turnStarted(20, { turn: id(9) }));
    expect(await session()).toMatchObject({ status: 'running', status_reason: null });
  });

  it('takes the id in upper case', async () => {
    await store.fold(...answered);
    expect((await session(SESSION.toUpperCase())).session_id).toBe(SESSION);
  });

  it('refuses what is no UUID, no session, and another’s', async () => {
    await store.fold(...answered);
    await expect(session('abc')).rejects.toMatchObject({
      code: 'SBP_INVALID_UUID',
      param: 'session_id',
    });
    await expect(session(id(99))).rejects.toMatchObject({ code: 'SBP_SESSION_NOT_FOUND' });
    const opening = sessionOpened(10, { session: id(2) });
    const others = { ...opening, data: { ...opening.data, principal: 'somebody' } };
    await store.fold(others, turnStarted(10, { session: id(2) }));
    await expect(session(id(2))).rejects.toMatchObject({ code: 'SBP_SESSION_NOT_FOUND' });
    const { token } = await tokens.issue(id(2), 0);
    expect((await session(id(2), token)).session_id).toBe(id(2));
    await expect(session(SESSION, token)).rejects.toMatchObject({ code: 'SBP_FORBIDDEN' });
    await expect(session(SESSION, 'forged')).rejects.toMatchObject({ code: 'SBP_UNAUTHORIZED' });
  });
});

describe('GET its messages', () => {
  const messages = (query: object = {}) => controller.messages(SESSION, query, request());

  it('gives each with its turn, in order', async () => {
    await store.fold(...answered);
    const found = await messages();
    expect(found).toEqual({
      session_id: SESSION,
      messages: [
        {
          index: 0,
          role: 'user',
          content: 'one',
          model_used: null,
          cost_usd: null,
          created_at: instant(1),
          turn_id: TURN,
        },
        {
          index: 1,
          role: 'assistant',
          content: 'Hi.',
          model_used: 'demo-1',
          cost_usd: 0.25,
          created_at: instant(2),
          turn_id: TURN,
        },
      ],
      next_cursor: null,
    });
    expect(MessagesResponse.parse(found)).toEqual(found);
  });

  it('keeps the question of a turn that failed, and nothing else of it', async () => {
    await store.fold(...opened, turnFailed(10));
    expect((await messages()).messages.map(({ role }) => role)).toEqual(['user']);
  });

  it('gives page after page: each message once', async () => {
    const long = Array.from({ length: 7 }, (_, index) => assistant(String(index)));
    await store.fold(...opened, turnCompleted(10, { messages: long }));
    const pages: number[][] = [];
    let after: number | null | undefined;
    while (after !== null) {
      const page: MessagesResponse = await messages({
        limit: '3',
        ...(after === undefined ? {} : { after: String(after) }),
      });
      pages.push(page.messages.map(({ index }) => index));
      after = page.next_cursor;
    }
    expect(pages).toEqual([
      [0, 1, 2],
      [3, 4, 5],
      [6, 7],
    ]);
    expect(await messages({ after: '7' })).toMatchObject({ messages: [], next_cursor: null });
    expect(await messages({ after: '99' })).toMatchObject({ messages: [], next_cursor: null });
  });

  it('refuses a query that makes no sense', async () => {
    await store.fold(...answered);
    await expect(messages({ limit: '0' })).rejects.toMatchObject({
      code: 'SBP_INVALID_REQUEST',
      param: 'limit',
    });
    await expect(messages({ after: 'x' })).rejects.toMatchObject({
      code: 'SBP_INVALID_REQUEST',
      param: 'after',
    });
  });
});
