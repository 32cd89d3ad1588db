import { randomUUID } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { CancelResponse, TurnResponse, TurnsResponse } from '#libs/protocol';
import { Agent, request, steered } from '../clients/agent.js';
import type { Answer, Headings } from '../clients/agent.js';
import { Failure } from '../clients/bodies.js';
import { Surface } from '../clients/surface.js';
import type { SessionKey } from '../clients/surface.js';
import { eventually } from '../clients/waiting.js';
import type { GetServer } from '../topology/server.js';

/** Takes a minute. */
const SLOW = 'ttft=0 tokens=60 interval=1000';

export function stopping(server: GetServer): void {
  function cancel(
    url: string,
    sessionId: string,
    body?: unknown,
    headers: Headings = {},
  ): Promise<Answer> {
    return request(`${url}/v1/sbp/sessions/${sessionId}/cancel`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', ...headers },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
  }

  async function turnOf(agent: Agent, sessionId: string, turnId: string) {
    const { json } = await agent.get(`sessions/${sessionId}/turns/${turnId}`);
    return TurnResponse.strict().parse(json);
  }

  /** A session that has had a turn, and runs one that takes a minute. */
  async function running() {
    const { url, replicas } = server();
    const agent = new Agent(url);
    const { sbp: key } = await agent.turn('Hello.');
    const surface = await Surface.attach(url, key);
    const door = agent.at(replicas('completions').first);
    const stream = await door.stream(steered(SLOW, 'Go on.'));
    await stream.until(({ chunks }) => chunks.length > 1);
    return { agent, key, surface, stream };
  }

  function lastError(stream: { readonly events: readonly { event?: unknown; data: string }[] }) {
    const error = stream.events.find(({ event }) => event === 'error');
    return Failure.parse(JSON.parse(error?.data ?? 'null')).error.code;
  }

  describe('§5 a turn is stopped', () => {
    // [SBP-L1-70]
    it('from any replica, by whoever has the session’s token; caller, surface and reads see it', async () => {
      const { replicas } = server();
      const { agent, key, surface, stream } = await running();
      const answer = await cancel(
        replicas('completions').second,
        key.session_id,
        {},
        { 'x-session-token': key.session_token },
      );
      expect(answer.status).toBe(202);
      const { turn_id, status } = CancelResponse.strict().parse(answer.json);
      expect(status).toBe('cancelled');
      expect(await stream.ended).toBe('broken');
      expect(lastError(stream)).toBe('SBP_TURN_CANCELLED');
      expect(await surface.next('TURN_COMPLETE')).toMatchObject({
        turn_id,
        status: 'cancelled',
        error: { code: 'SBP_TURN_CANCELLED' },
      });
      expect(await turnOf(agent, key.session_id, turn_id)).toMatchObject({
        status: 'cancelled',
        content: null,
        error: { code: 'SBP_TURN_CANCELLED' },
        usage: { estimated: true },
        cost_usd: null,
      });
      const next = await agent.turn('And now?');
      expect(next.sbp).toMatchObject({ session_id: key.session_id, step_count: 2 });
    });

    it('whose caller waits for the whole answer: it is told 409', async () => {
      const { url } = server();
      const agent = new Agent(url);
      const { sbp: key } = await agent.turn('Hello.');
      const waiting = agent.post({
        model: 'gpt-4o',
        messages: [{ role: 'user', content: steered('ttft=60000', 'Go on.') }],
        sbp: {},
      });
      await eventually(async () => {
        expect((await agent.session(key.session_id)).turn_in_flight).not.toBeNull();
      });
      expect((await cancel(url, key.session_id)).status).toBe(202);
      const { status, headers, json } = await waiting;
      expect([status, headers.get('x-should-retry')]).toEqual([409, 'false']);
      expect(Failure.parse(json).error.code).toBe('SBP_TURN_CANCELLED');
    });

    it('by several at once: all are told the same', async () => {
      const { replicas } = server();
      const { key, stream } = await running();
      const doors = Object.values(replicas('completions'));
      const answers = await Promise.all(
        [...doors, ...doors, ...doors].map((door) => cancel(door, key.session_id)),
      );
      const told = answers.map(({ status, json }) =>
        status === 202 ? CancelResponse.parse(json).status : Failure.parse(json).error.code,
      );
      expect(told).toContain('cancelled');
      expect(new Set(told).difference(new Set(['cancelled', 'SBP_SESSION_CONFLICT'])).size).toBe(0);
      expect(await stream.ended).toBe('broken');
    });

    // [SBP-L1-62]
    it('by its caller’s going away, where it had asked for that', async () => {
      const { url } = server();
      const agent = new Agent(url);
      const sbp = { on_disconnect: 'cancel' };
      const stream = await agent.stream(steered(SLOW, 'Go on.'), sbp);
      const sessionId = stream.headers.get('x-sbp-session-id') ?? '';
      await stream.until(({ chunks }) => chunks.length > 0);
      await stream.leave();
      await eventually(async () => {
        const { json } = await agent.get(`sessions/${sessionId}/turns`);
        expect(TurnsResponse.parse(json).turns).toMatchObject([{ status: 'cancelled' }]);
      });
    });
  });

  describe('§5 nothing is stopped', () => {
    // [SBP-L1-73]
    it('where nothing runs: 409; a turn that has ended is told as what it is', async () => {
      const { url } = server();
      const agent = new Agent(url);
      const { sbp } = await agent.turn('Hello.');
      for (const body of [undefined, {}, { turn_id: sbp.turn_id }, { turn_id: randomUUID() }]) {
        const { status, json } = await cancel(url, sbp.session_id, body);
        expect([status, Failure.parse(json).error.code]).toEqual([409, 'SBP_SESSION_CONFLICT']);
      }
    });

    it('by whom the session does not belong to, nor by a body that is none', async () => {
      const { url } = server();
      const agent = new Agent(url);
      const { sbp: key } = await agent.turn('Hello.');
      const { sbp: other } = await new Agent(url).turn('Hello.');
      const by = (token: string, sessionId = key.session_id, body: unknown = {}) =>
        cancel(url, sessionId, body, { 'x-session-token': token });
      expect((await by(other.session_token)).status).toBe(403);
      expect((await by('nonsense')).status).toBe(401);
      expect((await by('', randomUUID())).status).toBe(404);
      expect((await by('', 'not-a-uuid')).status).toBe(422);
      for (const body of [[], { turn_id: 'x' }, { turn_id: 7 }]) {
        expect((await by(key.session_token, key.session_id, body)).status).toBe(422);
      }
    });
  });

  describe('§5 turns', () => {
    const page = async (agent: Agent, { session_id }: SessionKey, query: string) =>
      TurnsResponse.strict().parse((await agent.get(`sessions/${session_id}/turns${query}`)).json);

    // [SBP-L3-12]
    it('are read one by one and page by page, on every replica, as soon as they are answered', async () => {
      const { url, replicas } = server();
      const agent = new Agent(url);
      const turns: string[] = [];
      for (let step = 0; step < 5; step++) turns.push((await agent.turn('Go on.')).sbp.turn_id);
      const { sbp: key, completion } = await agent.turn('The last one.');
      for (const door of Object.values(replicas('sessions'))) {
        const found = await turnOf(agent.at(door), key.session_id, key.turn_id);
        expect(found).toMatchObject({
          turn_id: key.turn_id,
          number: 6,
          status: 'completed',
          content: completion.choices[0]?.message.content,
          error: null,
          model_used: 'gpt-4o',
          cost_usd: 0,
          snapshot_id: key.snapshot_id,
        });
      }
      const first = await page(agent, key, '?limit=4');
      expect(first.turns.map(({ turn_id }) => turn_id)).toEqual(turns.slice(0, 4));
      const rest = await page(agent, key, `?limit=4&after=${String(first.next_cursor)}`);
      expect(rest.turns.map(({ number }) => number)).toEqual([5, 6]);
      expect(rest.next_cursor).toBeNull();
    });

    it('that are none are 404, and bad ids and pages 422', async () => {
      const agent = new Agent(server().url);
      const { sbp } = await agent.turn('Hello.');
      const status = async (path: string) =>
        (await agent.get(`sessions/${sbp.session_id}/turns${path}`)).status;
      expect(await status(`/${randomUUID()}`)).toBe(404);
      expect(await status('/nonsense')).toBe(422);
      expect(await status('?limit=0')).toBe(422);
      expect(await status('?after=x')).toBe(422);
    });
  });
}
