import { randomUUID } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { MessagesResponse, SessionResponse } from '#libs/protocol';
import { Agent, request } from '../clients/agent.js';
import { Failure, textOf } from '../clients/bodies.js';
import { ACKNOWLEDGES, Surface } from '../clients/surface.js';
import { worthlessTokens } from '../clients/tokens.js';
import type { GetServer } from '../topology/server.js';

/** The calls by session id, all with the same rules of who may; and what whoever may is told. */
const CALLS = [
  ['GET', '', 200],
  ['GET', '/messages', 200],
  ['GET', '/turns', 200],
  // No turn runs.
  ['POST', '/cancel', 409],
  ['POST', '/export', 201],
] as const;

export function readingSessions(server: GetServer): void {
  async function call(
    [method, path]: (typeof CALLS)[number],
    sessionId: string,
    headers: Readonly<Record<string, string>> = {},
  ) {
    return request(`${server().url}/v1/sbp/sessions/${sessionId}${path}`, { method, headers });
  }

  describe('§5 a session', () => {
    it('shows at once, on every replica, that its surface came, what it read, and that it left', async () => {
      const { url, replicas } = server();
      const doors = Object.values(replicas('sessions'));
      const agent = new Agent(url);
      const { sbp } = await agent.turn('Hello.');
      const shown = async () =>
        (await Promise.all(doors.map((door) => agent.at(door).session(sbp.session_id)))).map(
          ({ surface, queued_turns }) => ({ isThere: surface !== null, queued_turns }),
        );
      for (let round = 0; round < 5; round++) {
        const surface = await Surface.attach(url, sbp, ACKNOWLEDGES);
        expect(await shown()).toEqual(doors.map(() => ({ isThere: true, queued_turns: 0 })));
        // The close that answers a DETACH says that the log knows of it.
        surface.send({ type: 'DETACH' });
        expect(await surface.closed).toBe(1000);
        expect(await shown()).toEqual(doors.map(() => ({ isThere: false, queued_turns: 0 })));
      }
    });

    it('tells its state', async () => {
      const agent = new Agent(server().url);
      const { sbp } = await agent.turn('Hello.');
      const session = SessionResponse.strict().parse(
        (await agent.get(`sessions/${sbp.session_id}`)).json,
      );
      expect(session).toMatchObject({
        session_id: sbp.session_id,
        status: 'running',
        status_reason: null,
        agent_id: agent.id,
        step_count: 1,
        message_count: 2,
        turn_in_flight: null,
        surface: null,
        queued_turns: 0,
        last_checkpoint: sbp.last_checkpoint,
        snapshot_id: sbp.snapshot_id,
      });
    });

    // [SBP-L3-10]
    it('shows every turn that was answered, on every replica, at once', async () => {
      const { url, replicas } = server();
      const agent = new Agent(url);
      const doors = Object.values(replicas('sessions'));
      for (let step = 1; step <= 5; step++) {
        const { sbp } = await agent.turn('Go on.');
        const sessions = await Promise.all(
          doors.map((door) => agent.at(door).session(sbp.session_id)),
        );
        expect(sessions.map(({ step_count }) => step_count)).toEqual(doors.map(() => step));
      }
    });

    // [SBP-L3-11]
    it('has messages with what is known of each', async () => {
      const agent = new Agent(server().url);
      const { completion, sbp } = await agent.turn([
        { role: 'user', content: 'Hello.', name: 'Ada' },
      ]);
      const { json } = await agent.get(`sessions/${sbp.session_id}/messages`);
      const created_at = expect.stringMatching(/^\d{4}-.*Z$/) as unknown;
      expect(MessagesResponse.parse(json)).toMatchObject({
        session_id: sbp.session_id,
        next_cursor: null,
        messages: [
          {
            index: 0,
            role: 'user',
            content: 'Hello.',
            name: 'Ada',
            model_used: null,
            cost_usd: null,
            created_at,
            turn_id: sbp.turn_id,
          },
          {
            index: 1,
            role: 'assistant',
            content: textOf(completion),
            model_used: 'gpt-4o',
            cost_usd: 0,
            created_at,
            turn_id: sbp.turn_id,
          },
        ],
      });
    });

    // [SBP-L3-11]
    it('has messages that are read page by page', async () => {
      const agent = new Agent(server().url);
      const { sbp } = await agent.turn('One.');
      await agent.turn('Two.');
      await agent.turn('Three.');
      const pages: number[][] = [];
      let cursor: number | null = null;
      do {
        const after: string = cursor === null ? '' : `&after=${cursor}`;
        const { json } = await agent.get(`sessions/${sbp.session_id}/messages?limit=4${after}`);
        const page = MessagesResponse.parse(json);
        pages.push(page.messages.map(({ index }) => index));
        cursor = page.next_cursor;
      } while (cursor !== null);
      expect(pages).toEqual([
        [0, 1, 2, 3],
        [4, 5],
      ]);
      const { json } = await agent.get(`sessions/${sbp.session_id}/messages?after=99`);
      expect(MessagesResponse.parse(json)).toMatchObject({ messages: [], next_cursor: null });
    });

    it.for(['limit=0', 'limit=1001', 'limit=many', 'limit=1.5', 'after=-1', 'after=x'])(
      'refuses to read messages by %s',
      async (query) => {
        const agent = new Agent(server().url);
        const { sbp } = await agent.turn('Hello.');
        const { status, json } = await agent.get(`sessions/${sbp.session_id}/messages?${query}`);
        expect(status).toBe(422);
        const { error } = Failure.parse(json);
        expect(error.code).toBe('SBP_INVALID_REQUEST');
        expect(error.message).toContain(query.split('=')[0]);
      },
    );

    it.for(CALLS)('%s …%s: what is no UUID is 422', async (each) => {
      const { status, json } = await call(each, 'abc123');
      expect(status).toBe(422);
      expect(json).toMatchObject({ error: { code: 'SBP_INVALID_UUID', detail: null } });
    });

    it.for(CALLS)('%s …%s: a session that does not exist is 404', async (each) => {
      const { status, headers, json } = await call(each, randomUUID());
      expect(status).toBe(404);
      expect(headers.get('x-should-retry')).toBe('false');
      expect(Object.keys(Failure.parse(json).error)).toEqual(['code', 'message', 'detail']);
      expect(json).toMatchObject({ error: { code: 'SBP_SESSION_NOT_FOUND' } });
    });

    // [SBP-SEC-01] [SBP-L1-12]
    it.for(CALLS)(
      "%s …%s: its own token is welcome, another session's is 403, a worthless one 401",
      async (each) => {
        const agent = new Agent(server().url);
        const { sbp } = await agent.turn('Hello.');
        const { sbp: other } = await agent.turn('Hello.', { force_new_session: true });
        const before = await agent.session(sbp.session_id);
        const by = (token: string) => call(each, sbp.session_id, { 'x-session-token': token });
        const foreign = await by(other.session_token);
        expect(foreign).toMatchObject({ status: 403, json: { error: { code: 'SBP_FORBIDDEN' } } });
        for (const token of Object.values(worthlessTokens(sbp.session_id))) {
          expect(await by(token)).toMatchObject({
            status: 401,
            json: { error: { code: 'SBP_UNAUTHORIZED' } },
          });
        }
        expect(await agent.session(sbp.session_id)).toEqual(before);
        expect((await by(sbp.session_token)).status).toBe(each[2]);
      },
    );

    it.for([
      ['GET', '/v1/sbp/nothing'],
      ['GET', '/nothing'],
      ['GET', '/v1/chat/completions'],
      ['DELETE', '/health'],
    ])('%s %s is no route: 404 in the same form', async ([method, path]) => {
      const { status, json } = await request(`${server().url}${path}`, { method: method ?? '' });
      expect(status).toBe(404);
      expect(Failure.parse(json).error.code).toBe('SBP_INVALID_REQUEST');
    });
  });
}
