import { describe, expect, it } from 'vitest';
import { SbpProbe, SessionResponse, SessionsResponse, TokenResponse } from '#libs/protocol';
import { Agent, steered } from '../clients/agent.js';
import { Failure } from '../clients/bodies.js';
import { ACKNOWLEDGES, Surface } from '../clients/surface.js';
import { eventually } from '../clients/waiting.js';
import type { GetServer } from '../topology/server.js';

const resumed = (json: unknown): SbpProbe => SbpProbe.parse((json as { sbp: unknown }).sbp);

export function life(server: GetServer): void {
  const agentOf = (): Agent => new Agent(server().url);

  describe('§4 the life of a session', () => {
    // [SBP-L2-60]
    it('goes from running to suspended and back, and what it is already changes nothing', async () => {
      const agent = agentOf();
      const { sbp } = await agent.turn('Hello.');
      const first = await agent.session(sbp.session_id);
      const { status, json } = await agent.patch(sbp.session_id, 'running');
      expect({ status, json }).toEqual({ status: 200, json: first });
      const suspended = SessionResponse.parse(
        (await agent.patch(sbp.session_id, 'suspended')).json,
      );
      expect(suspended).toMatchObject({ status: 'suspended', status_reason: 'requested' });
      const again = await agent.patch(sbp.session_id, 'suspended');
      expect(again.json).toEqual(suspended);
      const back = await agent.patch(sbp.session_id, 'running');
      expect(back.json).toMatchObject({ status: 'running', status_reason: null });
    });

    // [SBP-L2-60] [SBP-L2-63]
    it.for(['completed', 'failed'] as const)('ends as %s, for ever', async (end) => {
      const agent = agentOf();
      const { sbp } = await agent.turn('Hello.');
      await agent.patch(sbp.session_id, 'suspended');
      expect((await agent.patch(sbp.session_id, end)).json).toMatchObject({ status: end });
      expect((await agent.patch(sbp.session_id, end)).status).toBe(200);
      for (const other of ['running', 'suspended', end === 'failed' ? 'completed' : 'failed']) {
        const { status, json } = await agent.patch(sbp.session_id, other);
        expect(status).toBe(409);
        expect(Failure.parse(json).error.code).toBe('SBP_SESSION_CONFLICT');
      }
      const messages = [{ role: 'user', content: 'Go on.' }];
      const named = await agent.post({
        ...{ model: 'gpt-4o', messages, sbp: { session_id: sbp.session_id } },
      });
      expect(named.status).toBe(409);
      expect(Failure.parse(named.json).error.code).toBe('SBP_SESSION_CONFLICT');
      // The live session has ended: of several requests one opens the next.
      const turns = await Promise.all(['One.', 'Two.', 'Three.'].map((said) => agent.turn(said)));
      const next = new Set(turns.map(({ sbp: { session_id } }) => session_id));
      expect(next.size).toBe(1);
      expect(next.has(sbp.session_id)).toBe(false);
    });

    it.for([
      ['idle', 'status'],
      ['asleep', 'status'],
      [null, 'status'],
    ] as const)('does not become %s', async ([status, field]) => {
      const agent = agentOf();
      const { sbp } = await agent.turn('Hello.');
      const answer = await agent.patch(sbp.session_id, status);
      expect(answer.status).toBe(422);
      expect(Failure.parse(answer.json).error.message).toContain(field);
    });

    // [SBP-L2-62]
    it('suspended, is resumed by whoever names it, and by nobody else', async () => {
      const agent = agentOf();
      const { sbp } = await agent.turn('Book a table.');
      await agent.patch(sbp.session_id, 'suspended');
      const messages = [{ role: 'user', content: 'Go on.' }];
      const headers = { 'x-session-token': sbp.session_token };
      for (const answer of [
        await agent.post({ model: 'gpt-4o', messages, sbp: {} }),
        await agent.post({ model: 'gpt-4o', messages }, headers),
        await agent.post({ model: 'gpt-4o', messages, sbp: {}, stream: true }),
        await agent.post({ model: 'gpt-4o', messages: [], sbp: {} }),
      ]) {
        expect(answer.status).toBe(202);
        expect(answer.json).not.toHaveProperty('choices');
        const { resume_prompt: prompt, ...rest } = resumed(answer.json);
        expect(prompt).toContain('Book a table.');
        expect(rest).toMatchObject({
          session_id: sbp.session_id,
          resume_available: true,
          step_count: 1,
          snapshot_id: sbp.snapshot_id,
        });
      }
      expect(await agent.session(sbp.session_id)).toMatchObject({
        status: 'suspended',
        message_count: 2,
      });
      const { sbp: next } = await agent.turn('Go on.', { session_id: sbp.session_id });
      expect(next).toMatchObject({ session_id: sbp.session_id, step_count: 2 });
      expect(await agent.session(sbp.session_id)).toMatchObject({ status: 'running' });
      const { sbp: live } = await agent.turn('And on.');
      expect(live.session_id).toBe(sbp.session_id);
    });

    // [SBP-L2-60]
    it('waits for the turn in flight, and cancels what waits behind it', async () => {
      const agent = agentOf();
      const { sbp } = await agent.turn('Hello.');
      const stream = await agent.stream(steered('tokens=30 interval=40', 'Go on.'));
      await stream.until((so) => so.text() !== '');
      const waiting = agent.post({
        model: 'gpt-4o',
        messages: [{ role: 'user', content: 'Then this.' }],
        sbp: { background: true },
      });
      expect((await waiting).status).toBe(202);
      const suspending = agent.patch(sbp.session_id, 'completed');
      await stream.whole();
      const { status, json } = await suspending;
      expect({ status, json }).toMatchObject({ status: 200, json: { status: 'completed' } });
      // What waited has run before it, or was cancelled; nothing is left of it either way.
      const turns = (await agent.get(`sessions/${sbp.session_id}/turns`)).json as {
        turns: readonly { status: string }[];
      };
      expect(turns.turns.map((turn) => turn.status).slice(0, 2)).toEqual([
        'completed',
        'completed',
      ]);
      expect(['completed', 'cancelled']).toContain(turns.turns[2]?.status);
    });

    // [SBP-L2-62]
    it('suspended, drains to a surface, and stays so', async () => {
      const { url } = server();
      const agent = agentOf();
      const { sbp } = await agent.turn('Hello.');
      await (await Surface.attach(url, sbp, ACKNOWLEDGES)).detach();
      await agent.turn('While nobody is there.');
      await agent.patch(sbp.session_id, 'suspended');
      const surface = await Surface.attach(url, sbp, ACKNOWLEDGES);
      expect(surface.attached.queued_turns).toBe(1);
      await surface.next('TETHER_TURN');
      await surface.acknowledge();
      await eventually(async () => {
        expect(await agent.session(sbp.session_id)).toMatchObject({
          status: 'suspended',
          status_reason: 'requested',
          queued_turns: 0,
        });
      });
    });

    // [SBP-L2-64]
    it('finished, drains to a surface, and closes when that has read it', async () => {
      const { url } = server();
      const agent = agentOf();
      const { sbp } = await agent.turn('Hello.');
      await (await Surface.attach(url, sbp, ACKNOWLEDGES)).detach();
      await agent.turn('While nobody is there.');
      await agent.patch(sbp.session_id, 'completed');
      const surface = await Surface.attach(url, sbp, ACKNOWLEDGES);
      await surface.next('TETHER_TURN');
      await surface.acknowledge();
      expect(await surface.closed).toBe(1000);
      // Nothing is left: it is told so, and closed at once.
      const late = await Surface.attach(url, sbp, ACKNOWLEDGES);
      expect(late.attached.queued_turns).toBe(0);
      expect(await late.closed).toBe(1000);
    });

    // [SBP-L2-64]
    it('finished, closes the surface that is there', async () => {
      const { url } = server();
      const agent = agentOf();
      const { sbp } = await agent.turn('Hello.');
      const surface = await Surface.attach(url, sbp);
      await agent.patch(sbp.session_id, 'completed');
      expect(await surface.closed).toBe(1000);
    });
  });

  describe('§5 the list of sessions', () => {
    // [SBP-L2-65]
    it('gives an agent’s sessions, newest first, by pages', async () => {
      const agent = agentOf();
      const opened: string[] = [];
      for (let at = 0; at < 5; at++) {
        const { sbp } = await agent.turn('Hello.', { force_new_session: true });
        opened.unshift(sbp.session_id);
      }
      const listed: string[] = [];
      let cursor = '';
      for (let pages = 1; ; pages++) {
        const path = `sessions?agent_id=${agent.id}&limit=2${cursor}`;
        const page = SessionsResponse.parse((await agent.get(path)).json);
        listed.push(...page.sessions.map(({ session_id }) => session_id));
        if (page.next_cursor === null) {
          expect(pages).toBe(3);
          break;
        }
        cursor = `&cursor=${page.next_cursor}`;
      }
      expect(listed).toEqual(opened);
    });

    // [SBP-L2-65]
    it('filters by status and time, and shows each session as its page does', async () => {
      const agent = agentOf();
      const { sbp: one } = await agent.turn('Hello.');
      const { sbp: two } = await agent.turn('Hello.', { force_new_session: true });
      await agent.patch(one.session_id, 'suspended');
      const found = async (query: string) => {
        const { json } = await agent.get(`sessions?agent_id=${agent.id}&${query}`);
        return SessionsResponse.parse(json).sessions;
      };
      expect(await found('status=suspended')).toEqual([await agent.session(one.session_id)]);
      expect(await found('status=running')).toEqual([await agent.session(two.session_id)]);
      const { created_at: since } = await agent.session(two.session_id);
      expect((await found(`since=${since}`)).map(({ session_id }) => session_id)).toContain(
        two.session_id,
      );
      expect(await found(`since=${new Date(Date.now() + 60_000).toISOString()}`)).toEqual([]);
    });

    // [SBP-L2-65] [SBP-ERR-03]
    it.for(['status=asleep', 'since=yesterday', 'limit=0', 'limit=101', 'cursor=x'])(
      'refuses %s',
      async (query) => {
        const { status, json } = await agentOf().get(`sessions?${query}`);
        expect(status).toBe(422);
        expect(Failure.parse(json).error.message).toContain(query.split('=')[0]);
      },
    );

    // [SBP-L2-65]
    it('is not for a session’s token, and knows no cursor but its own', async () => {
      const agent = agentOf();
      const { sbp } = await agent.turn('Hello.');
      const headers = { 'x-session-token': sbp.session_token };
      expect((await agent.get('sessions', headers)).status).toBe(403);
      const unknown = await agent.get('sessions?cursor=3f2504e0-4f89-41d3-9a0c-0305e82c3301');
      expect(unknown.status).toBe(422);
    });
  });

  describe('§5 the tokens of a session', () => {
    const renew = async (agent: Agent, id: string, body: unknown, headers = {}) => {
      const { status, json } = await agent.send(`sessions/${id}/token`, body, headers);
      expect(status).toBe(201);
      return TokenResponse.parse(json);
    };

    // [SBP-L2-66]
    it('are renewed, and the earlier ones stay valid', async () => {
      const agent = agentOf();
      const { sbp } = await agent.turn('Hello.');
      const before = Date.now();
      const { session_token: token, expires_at: expires } = await renew(agent, sbp.session_id, {});
      expect(token).not.toBe(sbp.session_token);
      expect(Date.parse(expires) - before).toBeGreaterThan(29 * 86_400_000);
      for (const each of [token, sbp.session_token]) {
        const headers = { 'x-session-token': each };
        expect((await agent.turn('Go on.', null, { headers })).sbp.session_id).toBe(sbp.session_id);
      }
    });

    // [SBP-L2-66]
    it('are revoked: the earlier ones are worth nothing, and their sockets are closed', async () => {
      const { url } = server();
      const agent = agentOf();
      const { sbp } = await agent.turn('Hello.');
      const surface = await Surface.attach(url, sbp);
      const headers = { 'x-session-token': sbp.session_token };
      const revoking = { revoke: true };
      const { session_token: token } = await renew(agent, sbp.session_id, revoking, headers);
      expect(await surface.closed).toBe(4003);
      expect((await agent.get(`sessions/${sbp.session_id}`, headers)).status).toBe(401);
      const messages = [{ role: 'user', content: 'Go on.' }];
      expect((await agent.post({ model: 'gpt-4o', messages }, headers)).status).toBe(401);
      const late = await Surface.connect(url, sbp.session_id);
      late.attach(sbp);
      expect(await late.closed).toBe(4003);
      const renewed = { 'x-session-token': token };
      const { sbp: next } = await agent.turn('Go on.', null, { headers: renewed });
      const attached = await Surface.attach(url, next);
      expect(attached.attached.session_id).toBe(sbp.session_id);
    });
  });
}
