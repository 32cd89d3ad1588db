import { describe, expect, it } from 'vitest';
import { Agent } from '../clients/agent.js';
import { Failure } from '../clients/bodies.js';
import { worthlessTokens } from '../clients/tokens.js';
import type { GetServer } from '../topology/server.js';

const GOOD = { model: 'gpt-4o', messages: [{ role: 'user', content: 'Hello.' }], sbp: {} };

interface BadRequest {
  readonly what: string;
  readonly body: unknown;
  readonly param: string | null;
  /** 400 and SBP_INVALID_REQUEST unless said otherwise. */
  readonly status?: number;
  readonly code?: string;
  readonly headers?: Readonly<Record<string, string>>;
}

const invalidUuid = { status: 422, code: 'SBP_INVALID_UUID' };

const BAD_REQUESTS: readonly BadRequest[] = [
  { what: 'a body that is not JSON', body: '{"model": ', param: null },
  { what: 'a body of words', body: 'hello', param: null },
  { what: 'a list', body: [GOOD], param: null },
  { what: 'null', body: 'null', param: null },
  { what: 'a body that nests without end', body: '['.repeat(100_000), param: null },
  { what: 'an sbp that is no object', body: { ...GOOD, sbp: 'yes' }, param: 'sbp' },
  { what: 'an sbp that is a list', body: { ...GOOD, sbp: [] }, param: 'sbp' },
  {
    what: 'a session_id that is a number',
    body: { ...GOOD, sbp: { session_id: 7 } },
    param: 'sbp.session_id',
  },
  {
    what: 'a session_id that is no UUID',
    body: { ...GOOD, sbp: { session_id: 'a1b2c3d4' } },
    param: 'sbp.session_id',
    ...invalidUuid,
  },
  {
    what: 'an empty session_id',
    body: { ...GOOD, sbp: { session_id: '' } },
    param: 'sbp.session_id',
    ...invalidUuid,
  },
  {
    what: 'a force_new_session in words',
    body: { ...GOOD, sbp: { force_new_session: 'yes' } },
    param: 'sbp.force_new_session',
  },
  {
    what: 'a checkpoint_every of 0',
    body: { ...GOOD, sbp: { checkpoint_every: 0 } },
    param: 'sbp.checkpoint_every',
  },
  {
    what: 'half a checkpoint',
    body: { ...GOOD, sbp: { checkpoint_every: 1.5 } },
    param: 'sbp.checkpoint_every',
  },
  { what: 'no model', body: { ...GOOD, model: undefined }, param: 'model' },
  { what: 'a model that is a number', body: { ...GOOD, model: 4 }, param: 'model' },
  { what: 'no messages', body: { ...GOOD, messages: undefined }, param: 'messages' },
  { what: 'messages that are no list', body: { ...GOOD, messages: 'Hello.' }, param: 'messages' },
  {
    what: 'a message that is no object',
    body: { ...GOOD, messages: ['Hello.'] },
    param: 'messages.0',
  },
  {
    what: 'an unknown role',
    body: { ...GOOD, messages: [{ role: 'king', content: '' }] },
    param: 'messages.0.role',
  },
  {
    what: 'a content that is a number',
    body: { ...GOOD, messages: [...GOOD.messages, { role: 'user', content: 7 }] },
    param: 'messages.1.content',
  },
  { what: 'a stream in words', body: { ...GOOD, stream: 'yes' }, param: 'stream' },
  { what: 'an n of 0', body: { ...GOOD, n: 0 }, param: 'n' },
  {
    what: 'an X-Agent-ID without end',
    body: GOOD,
    headers: { 'x-agent-id': 'a'.repeat(300) },
    param: 'X-Agent-ID',
  },
  {
    what: 'an X-Agent-ID of two columns',
    body: GOOD,
    headers: { 'x-agent-id': 'a\tb' },
    param: 'X-Agent-ID',
  },
  { what: 'a model with a NUL', body: { ...GOOD, model: 'm\0' }, param: 'model' },
  {
    what: 'a body of more than 8 MiB',
    body: { ...GOOD, messages: [{ role: 'user', content: 'x'.repeat(8 * 1024 * 1024) }] },
    status: 413,
    code: 'SBP_PAYLOAD_TOO_LARGE',
    param: null,
  },
];

/** What a database may not take: no text of Postgres has a NUL, and no INT is above 2^31 - 1. */
const UNSTORABLE: readonly (readonly [path: string, param: string, body?: object])[] = [
  ['sessions?agent_id=%00', 'agent_id'],
  ['sessions?label=a%00b', 'label'],
  ['sessions?principal=%00', 'principal'],
  ['audit?principal=%00', 'principal'],
  ['{session}/messages?after=2147483647', 'after'],
  ['{session}/messages?after=9007199254740991', 'after'],
  ['{session}/turns?after=3000000000', 'after'],
  ['{session}/fork', 'at_step', { at_step: 4_000_000_000 }],
  ['{session}/fork', 'label', { label: 'a\0b' }],
  ['{session}/export', 'label', { label: '\0' }],
  ['{session}/handoff', 'to_agent_id', { to_agent_id: '\0' }],
  ['sessions/import', 'target_agent_id', { roaming_token: 'x', target_agent_id: '\0' }],
];

export function badRequests(server: GetServer): void {
  // [SBP-ERR-01] [SBP-ERR-02] [SBP-ERR-03] [SBP-ERR-04] [SBP-ERR-05]
  describe('§9 bad requests get their error, and change nothing', () => {
    it.for(BAD_REQUESTS.map((bad) => [bad.what, bad] as const))('%s', async ([, bad]) => {
      const { body, param, status = 400, code = 'SBP_INVALID_REQUEST', headers = {} } = bad;
      const agent = new Agent(server().url);
      const { sbp } = await agent.turn('Hello.');
      const before = await agent.session(sbp.session_id);
      const answer = await agent.post(body, headers);
      expect(answer.status).toBe(status);
      const { error } = Failure.parse(answer.json);
      expect(error).toMatchObject({ code, type: 'invalid_request_error', param });
      expect(error.message).not.toBe('');
      expect(Object.keys(error).sort()).toEqual(['code', 'detail', 'message', 'param', 'type']);
      expect(answer.headers.get('x-should-retry')).toBe('false');
      expect(await agent.session(sbp.session_id)).toEqual(before);
      // No session was opened beside it either.
      expect((await agent.turn('Go on.')).sbp).toMatchObject({
        session_id: sbp.session_id,
        step_count: 2,
      });
    });

    it.for(UNSTORABLE)('%s: %s is 422, which names it', async ([path, param, body]) => {
      const agent = new Agent(server().url);
      const { sbp } = await agent.turn('Hello.');
      const place = path.replace('{session}', `sessions/${sbp.session_id}`);
      const answer = await (body === undefined ? agent.get(place) : agent.send(place, body));
      expect(answer.status, answer.text).toBe(422);
      const { error } = Failure.parse(answer.json);
      expect(error.code).toBe('SBP_INVALID_REQUEST');
      expect(error.message).toMatch(new RegExp(`^${param}: `));
    });

    it('the last place that can be asked for is behind everything', async () => {
      const agent = new Agent(server().url);
      const { sbp } = await agent.turn('Hello.');
      for (const list of ['messages', 'turns']) {
        const path = `sessions/${sbp.session_id}/${list}?after=2147483646`;
        const { status, json } = await agent.get(path);
        expect([status, json]).toMatchObject([200, { [list]: [], next_cursor: null }]);
      }
    });

    // [SBP-L1-12]
    it.for(Object.keys(worthlessTokens('')))('an X-Session-Token that %s is 401', async (what) => {
      const agent = new Agent(server().url);
      const { sbp } = await agent.turn('Hello.');
      const before = await agent.session(sbp.session_id);
      const headers = { 'x-session-token': worthlessTokens(sbp.session_id)[what] ?? '' };
      for (const body of [
        GOOD,
        { ...GOOD, sbp: undefined },
        { ...GOOD, sbp: { session_id: sbp.session_id } },
      ]) {
        const { status, json } = await agent.post(body, headers);
        expect(status).toBe(401);
        expect(json).toMatchObject({
          error: { code: 'SBP_UNAUTHORIZED', type: 'authentication_error' },
        });
      }
      expect(await agent.session(sbp.session_id)).toEqual(before);
    });

    it('an empty body is what the model says of it', async () => {
      const { status, json } = await new Agent(server().url).post(undefined);
      expect(status).toBe(400);
      expect(Failure.parse(json).error).toMatchObject({ type: 'invalid_request_error' });
    });

    // [SBP-L1-02]
    it('what sbp does not know is ignored', async () => {
      const { sbp } = await new Agent(server().url).turn('Hello.', {
        from_the_future: { a: 1 },
        memory_retrieval: true,
      });
      expect(sbp.step_count).toBe(1);
    });
  });
}
