import { randomUUID } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { Agent, saidIn } from '../clients/agent.js';
import { Completion, textOf } from '../clients/bodies.js';
import { tokenFor } from '../clients/tokens.js';
import type { GetServer } from '../topology/server.js';

export function sessionResolution(server: GetServer): void {
  // [SBP-L1-10]
  describe('§3 which session a request belongs to', () => {
    // [SBP-L1-01]
    it.for([
      ['without an sbp object', {}],
      ['with sbp null', { sbp: null }],
    ] as const)('none %s and without a token: nothing is added', async ([, extra]) => {
      const agent = new Agent(server().url);
      const { sbp: earlier } = await agent.turn('Hello.');
      const body = {
        model: 'gpt-4o',
        messages: [{ role: 'user', content: 'Hello again.' }],
        ...extra,
      };
      const { status, headers, json } = await agent.post(body);
      expect(status).toBe(200);
      const completion = Completion.parse(json);
      expect(completion.sbp).toBeUndefined();
      expect(completion.demo?.messages).toBe(1);
      expect(headers.get('x-session-token')).toBeNull();
      expect(headers.get('x-sbp-session-id')).toBeNull();
      expect(await agent.session(earlier.session_id)).toMatchObject({
        step_count: 1,
        message_count: 2,
      });
    });

    it('a new one with force_new_session, whatever else exists', async () => {
      const agent = new Agent(server().url);
      const { sbp: first } = await agent.turn('Hello.');
      const forced = await agent.turn('Hello.', { force_new_session: true });
      const withToken = await agent.turn(
        'Hello.',
        { force_new_session: true },
        { headers: { 'x-session-token': first.session_token } },
      );
      const ids = [first, forced.sbp, withToken.sbp].map((sbp) => sbp.session_id);
      expect(new Set(ids).size).toBe(3);
      expect(forced.sbp.step_count).toBe(1);
      expect(withToken.sbp.step_count).toBe(1);
    });

    it('the one that sbp.session_id names, in either case, before the live one', async () => {
      const agent = new Agent(server().url);
      const { sbp: older } = await agent.turn('Hello.');
      await agent.turn('Hello.', { force_new_session: true });
      const { sbp } = await agent.turn('Go on.', { session_id: older.session_id });
      expect(sbp).toMatchObject({ session_id: older.session_id, step_count: 2 });
      const { sbp: again } = await agent.turn('Go on.', {
        session_id: older.session_id.toUpperCase(),
      });
      expect(again).toMatchObject({ session_id: older.session_id, step_count: 3 });
    });

    it.for([
      ['without an sbp object', null],
      ['with one', {}],
    ] as const)('the one of X-Session-Token, %s, before the live one', async ([, sbp]) => {
      const agent = new Agent(server().url);
      const { sbp: older } = await agent.turn('Hello.');
      await agent.turn('Hello.', { force_new_session: true });
      const headers = { 'x-session-token': older.session_token };
      const turn = await agent.turn('Go on.', sbp, { headers });
      expect(turn.sbp).toMatchObject({ session_id: older.session_id, step_count: 2 });
      expect(turn.completion.demo?.messages).toBe(3);
    });

    // [SBP-L1-14]
    it("the agent's live one: the most recently opened", async () => {
      const agent = new Agent(server().url);
      const { sbp: older } = await agent.turn('Hello.');
      const { sbp: newer } = await agent.turn('Hello.', { force_new_session: true });
      await agent.turn('Go on.', { session_id: older.session_id });
      const { sbp } = await agent.turn('Go on.');
      expect(sbp).toMatchObject({ session_id: newer.session_id, step_count: 2 });
    });

    it('else a new one; agents do not meet', async () => {
      const { url } = server();
      const [one, other] = [new Agent(url), new Agent(url)];
      const first = await one.turn('Hello.');
      const second = await other.turn('Hello.');
      expect(second.sbp.session_id).not.toBe(first.sbp.session_id);
      expect(await one.session(first.sbp.session_id)).toMatchObject({ agent_id: one.id });
      expect(await other.session(second.sbp.session_id)).toMatchObject({ agent_id: other.id });
    });

    // [SBP-L1-14]
    it('one and the same for concurrent first requests', async () => {
      const { url, replicas } = server();
      const agent = new Agent(url);
      const { first, second } = replicas('completions');
      const doors = [agent, agent.at(first), agent.at(second), agent.at(first), agent.at(second)];
      const turns = await Promise.all(doors.map((door, at) => door.turn(`Hello ${at}.`)));
      expect(new Set(turns.map(({ sbp }) => sbp.session_id)).size).toBe(1);
      expect(turns.map(({ sbp }) => sbp.step_count).sort()).toEqual([1, 2, 3, 4, 5]);
      const [turn] = turns;
      const said = saidIn(await agent.messages(turn?.sbp.session_id ?? ''));
      // Each turn is whole: its question, then its answer.
      expect(said.map((text) => text.slice(0, 4))).toEqual(doors.flatMap(() => ['user', 'assi']));
      expect(said.filter((text) => text.startsWith('user')).sort()).toEqual(
        doors.map((_, at) => `user: Hello ${at}.`),
      );
    });

    // [SBP-L1-11] [SBP-SEC-01] [SBP-ERR-05]
    it('a token and an id that disagree are refused, and change neither session', async () => {
      const agent = new Agent(server().url);
      const { sbp: one } = await agent.turn('Hello.');
      const { sbp: other } = await agent.turn('Hello.', { force_new_session: true });
      const before = await Promise.all([
        agent.session(one.session_id),
        agent.session(other.session_id),
      ]);
      for (const force_new_session of [false, true]) {
        const sbp = { session_id: one.session_id, force_new_session };
        const body = { model: 'gpt-4o', messages: [{ role: 'user', content: 'Mine?' }], sbp };
        const { status, json } = await agent.post(body, { 'x-session-token': other.session_token });
        expect(status).toBe(403);
        expect(json).toMatchObject({ error: { code: 'SBP_FORBIDDEN', type: 'permission_error' } });
      }
      expect(
        await Promise.all([agent.session(one.session_id), agent.session(other.session_id)]),
      ).toEqual(before);
    });

    // [SBP-L1-13] [SBP-ERR-02]
    it.for(['sbp.session_id', 'X-Session-Token'] as const)(
      'one that does not exist, named by %s, is 404',
      async (by) => {
        const sessionId = randomUUID();
        const named = by === 'sbp.session_id';
        const body = { model: 'gpt-4o', messages: [{ role: 'user', content: 'Hello?' }], sbp: {} };
        const { status, headers, json } = await new Agent(server().url).post(
          { ...body, sbp: named ? { session_id: sessionId } : {} },
          named ? {} : { 'x-session-token': tokenFor(sessionId) },
        );
        expect(status).toBe(404);
        expect(headers.get('x-should-retry')).toBe('false');
        expect(json).toMatchObject({
          error: { code: 'SBP_SESSION_NOT_FOUND', type: 'invalid_request_error' },
        });
      },
    );

    // [SBP-L1-30] [SBP-SEC-02]
    it('the token travels in the header, too, and each turn renews it; older ones stay valid', async () => {
      const agent = new Agent(server().url);
      const first = await agent.turn('Hello.');
      const second = await agent.turn('Go on.');
      expect(first.headers.get('x-session-token')).toBe(first.sbp.session_token);
      expect(second.sbp.session_token).not.toBe(first.sbp.session_token);
      for (const { sbp } of [first, second]) {
        const { status } = await agent.get(`sessions/${sbp.session_id}`, {
          'x-session-token': sbp.session_token,
        });
        expect(status).toBe(200);
      }
    });

    // [SBP-L1-02] [SBP-L1-03] [SBP-L1-30]
    it('the answer is that of the model, plus sbp', async () => {
      const agent = new Agent(server().url);
      const { completion, sbp } = await agent.turn(
        'Hello.',
        {},
        { model: 'vendor/some-model', provider_option: 7 },
      );
      expect(completion).toMatchObject({ object: 'chat.completion', model: 'vendor/some-model' });
      expect(textOf(completion)).toContain('“Hello.”');
      expect(completion.demo?.fields).toContain('provider_option');
      expect(completion.demo?.fields).not.toContain('sbp');
      expect(sbp).toEqual({
        session_id: expect.any(String) as unknown,
        session_token: expect.any(String) as unknown,
        turn_id: expect.any(String) as unknown,
        snapshot_id: expect.any(String) as unknown,
        resume_available: false,
        resume_prompt: null,
        last_checkpoint: expect.any(String) as unknown,
        step_count: 1,
        cost_usd: 0,
        model_routed_to: 'vendor/some-model',
      });
    });
  });
}
