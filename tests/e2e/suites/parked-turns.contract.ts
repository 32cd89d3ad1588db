import { randomUUID } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { ApprovalResponse, SbpParked, SbpResponse, TurnResponse } from '#libs/protocol';
import { Agent, request } from '../clients/agent.js';
import type { Headings } from '../clients/agent.js';
import { Failure } from '../clients/bodies.js';
import type { StrictModel } from '../clients/strict-model.js';
import { Surface } from '../clients/surface.js';
import type { SessionKey } from '../clients/surface.js';
import { eventually } from '../clients/waiting.js';
import type { GetServer } from '../topology/server.js';

const CONTEXT = { mcp_tools: ['gps', 'shell'] };
const APPROVE = { approve: ['gps'] };
const WAIT = { on_surface_lost: 'wait' };

/** Turns whose calls wait for a human or a device; the model takes only what OpenAI's does. */
export function parkedTurns(server: GetServer, model: () => StrictModel): void {
  /** An agent's session with a surface on it, on another replica than its turns. */
  async function attached() {
    const { url, replicas } = server();
    const agent = new Agent(url);
    const { sbp } = await agent.turn('Hello.');
    const door = replicas('gateway').second;
    const surface = await Surface.attach(door, sbp, { context: CONTEXT });
    return { agent: agent.at(replicas('completions').first), key: sbp, surface, door };
  }

  const ask = (agent: Agent, words: string, sbp: object) =>
    agent.post({ model: 'm', messages: [{ role: 'user', content: `call: ${words}` }], sbp });

  async function parked(agent: Agent, words: string, sbp: object) {
    const { status, json, text } = await ask(agent, words, sbp);
    expect(status, text).toBe(202);
    return SbpParked.parse((json as { readonly sbp: unknown }).sbp);
  }

  function decide(
    key: SessionKey,
    call: string,
    body: object,
    headers: Headings = { 'x-session-token': key.session_token },
  ) {
    const { second } = server().replicas('completions');
    return request(`${second}/v1/sbp/sessions/${key.session_id}/approvals/${call}`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', ...headers },
      body: JSON.stringify(body),
    });
  }

  async function turnOf(agent: Agent, { session_id: id }: SessionKey, turnId: string) {
    const { json } = await agent.at(server().url).get(`sessions/${id}/turns/${turnId}`);
    return TurnResponse.strict().parse(json);
  }

  async function answer(surface: Surface, result: unknown) {
    const call = await surface.next('TOOL_CALL');
    surface.send({ type: 'TOOL_RESULT', call_id: call.call_id, result });
    return call;
  }
  const results = () => model().asked.filter(({ role }) => role === 'tool');

  describe('§7 a turn whose calls wait', () => {
    // [SBP-L5-13] [SBP-L5-14]
    it('is parked until a human allows its call, and its answer goes to the surface', async () => {
      const { agent, key, surface } = await attached();
      const { turn_id, pending_calls } = await parked(agent, 'surface_gps-1', APPROVE);
      expect(pending_calls).toMatchObject([{ tool_name: 'gps', waits_for: 'approval' }]);
      expect(await turnOf(agent, key, turn_id)).toMatchObject({ status: 'parked', pending_calls });
      expect(surface.of('TOOL_CALL')).toEqual([]);
      const call = pending_calls[0]?.call_id ?? '';
      const { status, json } = await decide(key, call, { approve: true });
      expect(status).toBe(202);
      expect(ApprovalResponse.parse(json)).toMatchObject({ call_id: call, approved: true });
      const sent = await answer(surface, 'At home.');
      expect(sent).toMatchObject({ call_id: call, tool_input: { call: 'surface_gps-1' } });
      await surface.until(() => surface.of('TURN_COMPLETE').some((end) => end.turn_id === turn_id));
      expect(results()).toMatchObject([{ content: 'At home.' }]);
      expect(await turnOf(agent, key, turn_id)).toMatchObject({
        status: 'completed',
        pending_calls: [],
      });
    });

    // [SBP-L5-13]
    it('goes on where he denies it, and the model is told why', async () => {
      const { agent, key, surface } = await attached();
      const { turn_id, pending_calls } = await parked(agent, 'surface_gps-1', APPROVE);
      await decide(key, pending_calls[0]?.call_id ?? '', { approve: false, reason: 'Private.' });
      await surface.until(() => surface.of('TURN_COMPLETE').some((end) => end.turn_id === turn_id));
      expect(results()).toMatchObject([{ content: '{"error":"denied: Private."}' }]);
      expect(surface.of('TOOL_CALL')).toEqual([]);
    });

    // [SBP-L5-13]
    it('is decided by whom it belongs to, once, and with what can be read', async () => {
      const { agent, key } = await attached();
      const { pending_calls } = await parked(agent, 'surface_gps-1', APPROVE);
      const call = pending_calls[0]?.call_id ?? '';
      const other = await attached();
      const refusals = [
        [await decide(key, 'gps', { approve: true }), 422, 'SBP_INVALID_UUID'],
        [await decide(key, call, { approve: 'yes' }), 422, 'SBP_INVALID_REQUEST'],
        [await decide(key, call, {}), 422, 'SBP_INVALID_REQUEST'],
        [await decide(key, randomUUID(), { approve: true }), 404, 'SBP_SESSION_NOT_FOUND'],
        [await decide(other.key, call, { approve: true }), 404, 'SBP_SESSION_NOT_FOUND'],
        [
          await decide(key, call, { approve: true }, { 'x-session-token': 'none' }),
          401,
          'SBP_UNAUTHORIZED',
        ],
        [
          await decide(key, call, {}, { 'x-session-token': other.key.session_token }),
          422,
          'SBP_INVALID_REQUEST',
        ],
      ] as const;
      for (const [{ status, json }, expected, code] of refusals) {
        expect([status, Failure.parse(json).error.code]).toEqual([expected, code]);
      }
      expect((await decide(key, call, { approve: false }, {})).status).toBe(202);
      const again = await decide(key, call, { approve: true });
      expect(again.status).toBe(409);
      expect(Failure.parse(again.json).error.code).toBe('SBP_SESSION_CONFLICT');
    });

    // [SBP-L5-14]
    it('ends a stream by an error, behind what was said', async () => {
      const { agent, key } = await attached();
      const stream = await agent.stream('call: surface_gps-1', APPROVE);
      expect(await stream.ended).toBe('broken');
      const { events } = stream;
      const { event, data } = events.at(-1) ?? {};
      expect(event).toBe('error');
      const { error } = Failure.parse(JSON.parse(data ?? 'null'));
      expect(error).toMatchObject({
        code: 'SBP_TURN_PENDING',
        detail: { pending_calls: [{ tool_name: 'gps' }] },
      });
      expect(events.map(({ data: each }) => each)).not.toContain('[DONE]');
      const { turn_in_flight } = await agent.at(server().url).session(key.session_id);
      expect(turn_in_flight).toEqual(expect.any(String));
    });

    // [SBP-L5-12]
    it('waits for the next surface that has the tool, which gets the same call', async () => {
      const { agent, key, surface } = await attached();
      const asking = ask(agent, 'surface_gps-1', WAIT);
      const { call_id } = await surface.next('TOOL_CALL');
      await surface.drop();
      const { status, json } = await asking;
      expect(status).toBe(202);
      const { turn_id, pending_calls } = SbpParked.parse((json as { readonly sbp: unknown }).sbp);
      expect(pending_calls).toMatchObject([{ call_id, waits_for: 'device' }]);
      const { first } = server().replicas('gateway');
      const camera = await Surface.attach(first, key, { context: { mcp_tools: ['camera'] } });
      await camera.detach();
      expect(camera.of('TOOL_CALL')).toEqual([]);
      const watch = await Surface.attach(first, key, { context: CONTEXT });
      expect(await answer(watch, 'On the way.')).toMatchObject({ call_id });
      await watch.until(() => watch.of('TURN_COMPLETE').some((end) => end.turn_id === turn_id));
      expect(results()).toMatchObject([{ content: 'On the way.' }]);
    });

    // [SBP-L5-12]
    it('is not parked while one of its calls runs, and each result goes to its call', async () => {
      const { agent, key, surface } = await attached();
      const both = { ...APPROVE, ...WAIT };
      const asking = ask(agent, 'surface_gps-1 surface_shell-2', both);
      const shell = await surface.next('TOOL_CALL');
      expect(shell.tool_name).toBe('shell');
      surface.send({ type: 'TOOL_RESULT', call_id: shell.call_id, result: 'shell' });
      const { status, json } = await asking;
      expect(status).toBe(202);
      const { pending_calls } = SbpParked.parse((json as { readonly sbp: unknown }).sbp);
      expect(pending_calls).toMatchObject([{ tool_name: 'gps' }]);
      await decide(key, pending_calls[0]?.call_id ?? '', { approve: true });
      await answer(surface, 'gps');
      await eventually(() => {
        expect(results().map(({ content }) => content)).toEqual(['gps', 'shell']);
      });
    });

    // [SBP-L5-14]
    it('can be cancelled while it is parked, and others wait behind it until then', async () => {
      const { agent, key } = await attached();
      const { turn_id } = await parked(agent, 'surface_gps-1', APPROVE);
      const next = agent.post({
        model: 'm',
        messages: [{ role: 'user', content: 'Next.' }],
        sbp: {},
      });
      await eventually(async () => {
        const { json } = await agent.at(server().url).get(`sessions/${key.session_id}/turns`);
        expect(JSON.stringify(json)).toContain('queued');
      });
      const { url } = server();
      const cancelled = await request(`${url}/v1/sbp/sessions/${key.session_id}/cancel`, {
        method: 'POST',
        headers: { 'x-session-token': key.session_token },
      });
      expect(cancelled.json).toMatchObject({ turn_id, status: 'cancelled' });
      const { status, json } = await next;
      expect(status).toBe(200);
      expect(SbpResponse.parse((json as { readonly sbp: unknown }).sbp).session_id).toBe(
        key.session_id,
      );
    });
  });
}
