import { randomUUID } from 'node:crypto';
import OpenAI from 'openai';
import { describe, expect, it } from 'vitest';
import { SbpProbe } from '#libs/protocol';
import { Agent, saidIn, steered } from '../clients/agent.js';
import { openaiFor } from '../clients/openai.js';
import { Surface } from '../clients/surface.js';
import { worthlessTokens } from '../clients/tokens.js';
import type { GetServer } from '../topology/server.js';

const EMPTY = { model: 'gpt-4o', messages: [] };

export function probes(server: GetServer): void {
  const probing = (agent: Agent, sbp: object = {}, headers: Record<string, string> = {}) =>
    agent.post({ ...EMPTY, sbp }, headers);
  const found = (answer: { readonly json: unknown }) =>
    SbpProbe.strict().parse((answer.json as { sbp: unknown }).sbp);

  describe('§3 a probe', () => {
    // [SBP-L1-57] [SBP-ERR-05]
    it('is told what there is to resume, and changes nothing', async () => {
      const agent = new Agent(server().url);
      await agent.turn('Plan a trip.');
      const { sbp } = await agent.turn('Add 3 restaurants.');
      const before = await agent.session(sbp.session_id);
      const answer = await probing(agent);
      expect(answer.status).toBe(202);
      expect(Object.keys(answer.json as object)).toEqual(['sbp']);
      expect(found(answer)).toMatchObject({
        session_id: sbp.session_id,
        resume_available: true,
        resume_prompt: 'Go on after 2 turns. The user said last: “Add 3 restaurants.”',
        last_checkpoint: sbp.last_checkpoint,
        step_count: 2,
        snapshot_id: sbp.snapshot_id,
      });
      expect(answer.headers.get('x-session-token')).toBe(found(answer).session_token);
      expect(answer.headers.get('x-sbp-session-id')).toBe(sbp.session_id);
      expect(await agent.session(sbp.session_id)).toEqual(before);
      expect(saidIn(await agent.messages(sbp.session_id))).toHaveLength(4);
    });

    // [SBP-L1-57]
    it('gives a token by which a surface attaches and a turn goes on', async () => {
      const agent = new Agent(server().url);
      await agent.turn('Hello.');
      const sbp = found(await probing(agent));
      const surface = await Surface.connect(server().url, sbp.session_id);
      surface.attach(sbp);
      await surface.next('SESSION_ATTACHED');
      const other = new Agent(server().url);
      const next = await other.turn('Go on.', null, {
        headers: { 'x-session-token': sbp.session_token },
      });
      expect(next.sbp).toMatchObject({ session_id: sbp.session_id, step_count: 2 });
    });

    // [SBP-L1-57]
    it('finds the session by its id, and by its token, as any other request', async () => {
      const { sbp } = await new Agent(server().url).turn('Hello.');
      const stranger = new Agent(server().url);
      const named = await probing(stranger, { session_id: sbp.session_id });
      expect(found(named).session_id).toBe(sbp.session_id);
      const token = { 'x-session-token': sbp.session_token };
      expect(found(await stranger.post(EMPTY, token)).session_id).toBe(sbp.session_id);
      expect(found(await stranger.post({ ...EMPTY, stream: true }, token)).step_count).toBe(1);
    });

    // [SBP-L1-57]
    it('is answered while a turn runs, without waiting for it', async () => {
      const agent = new Agent(server().url);
      const stream = await agent.stream(steered('tokens=20 interval=200', 'Take your time.'));
      const probed = found(await probing(agent));
      expect(probed).toMatchObject({
        resume_available: true,
        step_count: 0,
        snapshot_id: null,
        last_checkpoint: null,
        resume_prompt: expect.stringMatching(
          /^Go on after 0 turns\. The user said last: “/,
        ) as string,
      });
      await stream.whole();
    });

    // [SBP-L1-57] [SBP-L1-58]
    it('shows a turn that failed as what can be resumed', async () => {
      const agent = new Agent(server().url);
      const content = steered('fail=status:500', 'x'.repeat(300));
      await agent.post({ model: 'm', messages: [{ role: 'user', content }], sbp: {} });
      const { resume_prompt: prompt, ...probed } = found(await probing(agent));
      expect(probed).toMatchObject({ resume_available: true, step_count: 0 });
      expect((prompt ?? '').length).toBeLessThan(300);
      expect(prompt).toMatch(/…”$/);
    });

    // [SBP-L1-58]
    it.for([
      ['where the agent has no session', {}, {}, 404, 'SBP_SESSION_NOT_FOUND'],
      ['for a new one', { force_new_session: true }, {}, 404, 'SBP_SESSION_NOT_FOUND'],
      ['for an unknown one', { session_id: randomUUID() }, {}, 404, 'SBP_SESSION_NOT_FOUND'],
      ['for no UUID', { session_id: 'x' }, {}, 422, 'SBP_INVALID_UUID'],
      ['with a bad field', { checkpoint_every: 0 }, {}, 400, 'SBP_INVALID_REQUEST'],
      ['by a forged token', {}, { 'x-session-token': 'a.b.c' }, 401, 'SBP_UNAUTHORIZED'],
    ] as const)('opens nothing %s', async ([, sbp, headers, status, code]) => {
      const agent = new Agent(server().url);
      const answer = await probing(agent, sbp, headers);
      expect([answer.status, answer.json]).toMatchObject([status, { error: { code } }]);
      expect((await probing(agent)).status).toBe(404);
    });

    // [SBP-L1-58] [SBP-SEC-01]
    it('by the token of another session is refused', async () => {
      const agent = new Agent(server().url);
      const { sbp } = await agent.turn('Mine.');
      const { sbp: other } = await new Agent(server().url).turn('Other.');
      const headers = { 'x-session-token': other.session_token };
      expect((await probing(agent, { session_id: sbp.session_id }, headers)).status).toBe(403);
      for (const token of Object.values(worthlessTokens(sbp.session_id)))
        expect((await probing(agent, {}, { 'x-session-token': token })).status).toBe(401);
    });

    // [SBP-L1-57]
    it('of the official client needs no choices, and throws where there is nothing', async () => {
      const agent = new Agent(server().url);
      const openai = openaiFor(agent);
      const probe = { ...EMPTY, sbp: {} };
      await expect(openai.chat.completions.create(probe)).rejects.toBeInstanceOf(
        OpenAI.NotFoundError,
      );
      await agent.turn('Hello.');
      expect(await openai.chat.completions.create(probe)).toMatchObject({
        sbp: { resume_available: true },
      });
    });

    // [SBP-L1-59]
    it('that is not tracked goes to the model as it came', async () => {
      const { status, json } = await new Agent(server().url).post(EMPTY);
      expect(status).toBe(400);
      expect(json).toMatchObject({ error: { param: 'messages' } });
    });
  });
}
