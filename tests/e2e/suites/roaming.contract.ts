import { randomUUID } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import {
  ExportResponse,
  ExportsResponse,
  ForkResponse,
  HandoffResponse,
  ImportResponse,
  LineageResponse,
  SbpProbe,
  SessionsResponse,
  SnapshotsResponse,
  TokenInspection,
} from '#libs/protocol';
import { Agent, saidIn, steered } from '../clients/agent.js';
import { Failure } from '../clients/bodies.js';
import { withGps } from '../clients/gps-surface.js';
import type { GetServer } from '../topology/server.js';

const codeOf = (json: unknown): string | null => Failure.parse(json).error.code;

export function roaming(server: GetServer): void {
  const agentOf = (): Agent => new Agent(server().url);

  async function exported(agent: Agent, sessionId: string, body: object = {}) {
    return ExportResponse.parse((await agent.export(sessionId, body)).json);
  }

  async function imported(agent: Agent, body: object, headers = {}) {
    const answer = await agent.send('sessions/import', body, headers);
    expect(answer.status, answer.text).toBe(201);
    return ImportResponse.strict().parse(answer.json);
  }

  async function forked(agent: Agent, sessionId: string, body: object = {}, headers = {}) {
    const answer = await agent.send(`sessions/${sessionId}/fork`, body, headers);
    expect(answer.status, answer.text).toBe(201);
    return ForkResponse.strict().parse(answer.json);
  }

  async function handedOff(agent: Agent, sessionId: string, body: object, headers = {}) {
    const answer = await agent.send(`sessions/${sessionId}/handoff`, body, headers);
    expect(answer.status, answer.text).toBe(201);
    return HandoffResponse.strict().parse(answer.json);
  }

  async function lineage(agent: Agent, sessionId: string) {
    return LineageResponse.strict().parse((await agent.get(`sessions/${sessionId}/lineage`)).json);
  }

  async function inspected(agent: Agent, token: string) {
    const { status, json } = await agent.get(`token/${token}`);
    expect(status).toBe(200);
    return TokenInspection.strict().parse(json);
  }

  /** What a session says, without what only tells where it comes from. */
  async function said(agent: Agent, sessionId: string) {
    return saidIn(await agent.messages(sessionId)).filter((text) => !text.startsWith('system: '));
  }

  describe('§5 import', () => {
    // [SBP-L3-20] [SBP-L3-21] [SBP-L3-23] [SBP-L3-61]
    it('continues an export as another session, once', async () => {
      const agent = agentOf();
      const { sbp } = await agent.turn([
        { role: 'system', content: 'Be brief.' },
        { role: 'user', content: 'Hello.' },
      ]);
      await agent.turn('Go on.');
      const { roaming_token: token, export_id } = await exported(agent, sbp.session_id, {
        label: 'Tokyo trip',
      });
      const before = await inspected(agent, token);
      expect(before).toMatchObject({
        ...{ export_id, session_id: sbp.session_id, label: 'Tokyo trip', message_count: 5 },
        ...{ consumed: false, consumed_at: null, imported_at: null },
      });
      const other = agentOf();
      const answer = await imported(other, { roaming_token: token, target_agent_id: other.id });
      expect(answer).toMatchObject({
        ...{ agent_id: other.id, step_count: 2, message_count: 5, messages_restored: 5 },
        ...{ origin_export_id: export_id, new_session_id: answer.session_id },
        provenance: { session_id: sbp.session_id, agent_id: agent.id, export_id, server: null },
      });
      expect(answer.session_id).not.toBe(sbp.session_id);
      expect(await said(other, answer.session_id)).toEqual(await said(agent, sbp.session_id));
      const messages = await other.messages(answer.session_id);
      const note = messages.find(({ role }) => role === 'system');
      expect(note?.['content']).toContain(export_id);
      expect(note?.['content']).toContain(sbp.session_id);
      const after = await inspected(agent, token);
      expect(after.consumed).toBe(true);
      expect(after.consumed_at).not.toBeNull();
      const again = await agent.send('sessions/import', { roaming_token: token });
      expect(again.status).toBe(410);
      expect(codeOf(again.json)).toBe('SBP_TOKEN_CONSUMED');
      // It is the agent's live session now, and the model is told of all that was said.
      const next = await other.turn('What now?');
      expect(next.sbp).toMatchObject({ session_id: answer.session_id, step_count: 3 });
      expect(next.completion.demo?.messages).toBe(7);
      const token2 = { 'x-session-token': answer.session_token };
      expect((await other.turn('And now?', null, { headers: token2 })).sbp.session_id).toBe(
        answer.session_id,
      );
    });

    // [SBP-L3-22]
    it('of a token that is used again copies, and uses nothing', async () => {
      const agent = agentOf();
      const { sbp } = await agent.turn('Hello.');
      const { roaming_token: token } = await exported(agent, sbp.session_id);
      const reuse = { roaming_token: token, allow_reuse: true };
      const [one, two] = [await imported(agent, reuse), await imported(agent, reuse)];
      expect(one.session_id).not.toBe(two.session_id);
      expect((await inspected(agent, token)).consumed).toBe(false);
      await imported(agent, { roaming_token: token });
      const late = await agent.send('sessions/import', reuse);
      expect(late.status).toBe(410);
      expect(codeOf(late.json)).toBe('SBP_TOKEN_CONSUMED');
    });

    // [SBP-L3-21]
    it('of one token by a hundred at once succeeds once', async () => {
      const agent = agentOf();
      const { sbp } = await agent.turn('Hello.');
      const { roaming_token } = await exported(agent, sbp.session_id);
      const { first, second } = server().replicas('roaming');
      const answers = await Promise.all(
        Array.from({ length: 100 }, (_, at) =>
          agent.at(at % 2 === 0 ? first : second).send('sessions/import', { roaming_token }),
        ),
      );
      const statuses = answers.map(({ status }) => status).sort();
      expect(statuses).toEqual([201, ...Array.from({ length: 99 }, () => 410)]);
    });

    // [SBP-L3-24]
    it('is asked for again with its Idempotency-Key, and is the same', async () => {
      const agent = agentOf();
      const { sbp } = await agent.turn([
        { role: 'system', content: 'Be brief.' },
        { role: 'user', content: 'Hello.' },
      ]);
      const { roaming_token } = await exported(agent, sbp.session_id);
      const headers = { 'idempotency-key': randomUUID() };
      const [one, two] = await Promise.all([
        imported(agent, { roaming_token }, headers),
        imported(agent, { roaming_token }, headers),
      ]);
      expect(two.session_id).toBe(one.session_id);
      const again = await imported(agent, { roaming_token }, headers);
      expect({ ...again, session_token: one.session_token }).toEqual(one);
      const reuse = { roaming_token: (await exported(agent, sbp.session_id)).roaming_token };
      const again1 = { 'idempotency-key': randomUUID() };
      const copies = [1, 2].map(() => imported(agent, { ...reuse, allow_reuse: true }, again1));
      const [first, second] = await Promise.all(copies);
      expect({ ...second, session_token: first?.session_token }).toEqual(first);
      const other = { roaming_token, target_agent_id: 'somebody' };
      const { status, json } = await agent.send('sessions/import', other, headers);
      expect(status).toBe(422);
      expect(Failure.parse(json).error.message).toContain('Idempotency-Key');
    });

    // [SBP-L3-20] [SBP-ERR-03]
    it.for([
      ['no token', {}, 'roaming_token'],
      ['a token that is none', { roaming_token: 'abc' }, 'roaming_token'],
      ['a number', { roaming_token: 7 }, 'roaming_token'],
      ['an agent of a number', { roaming_token: 'abc', target_agent_id: 7 }, 'target_agent_id'],
    ] as const)('refuses %s', async ([, body, field]) => {
      const { status, json } = await agentOf().send('sessions/import', body);
      expect(status).toBe(422);
      expect(Failure.parse(json).error.message).toContain(field);
    });

    // [SBP-L3-20]
    it('takes tool calls, images and every script along, and exports the same again', async () => {
      const agent = agentOf();
      const surface = await withGps(agent);
      const { sbp } = await agent.turn(steered('call=gps', 'Wo? 東京 ✈ \u{1F600} \u0000'));
      await surface.close(1000);
      await agent.turn([
        {
          role: 'user',
          content: [
            { type: 'text', text: 'Look.' },
            { type: 'image_url', image_url: { url: 'data:image/png;base64,AAAA' } },
          ],
        },
      ]);
      const first = await exported(agent, sbp.session_id);
      const one = await imported(agent, { roaming_token: first.roaming_token });
      const second = await exported(agent, one.session_id);
      expect(second.message_count).toBe(first.message_count);
      const two = await imported(agent, { roaming_token: second.roaming_token });
      const plain = async (id: string) =>
        (await agent.messages(id))
          .filter(({ role }) => role !== 'system')
          .map(({ turn_id: _turn, ...message }) => message);
      expect(await plain(one.session_id)).toEqual(await plain(sbp.session_id));
      expect(await plain(two.session_id)).toEqual(await plain(sbp.session_id));
    });
  });

  describe('§5 exports', () => {
    // [SBP-L3-06] [SBP-L3-07]
    it('are listed newest first, and revoked where they were not used', async () => {
      const agent = agentOf();
      const { sbp } = await agent.turn('Hello.');
      const made: ExportResponse[] = [];
      for (const label of ['a', 'b', 'c']) {
        made.unshift(await exported(agent, sbp.session_id, { label }));
      }
      const path = `sessions/${sbp.session_id}/exports`;
      const page = ExportsResponse.parse((await agent.get(`${path}?limit=2`)).json);
      expect(page.exports.map(({ label }) => label)).toEqual(['c', 'b']);
      const rest = ExportsResponse.parse(
        (await agent.get(`${path}?after=${page.next_cursor ?? ''}`)).json,
      );
      expect(rest.exports.map(({ label }) => label)).toEqual(['a']);
      expect(rest.next_cursor).toBeNull();
      const [used, revoked] = made;
      const one = await imported(agent, { roaming_token: used?.roaming_token });
      const del = (id = '') => agent.delete(`exports/${id}`);
      expect((await del(used?.export_id)).status).toBe(410);
      expect((await del(revoked?.export_id)).status).toBe(204);
      expect((await del(revoked?.export_id)).status).toBe(204);
      expect((await del(randomUUID())).status).toBe(404);
      const late = await agent.send('sessions/import', { roaming_token: revoked?.roaming_token });
      expect(late.status).toBe(410);
      expect(codeOf(late.json)).toBe('SBP_TOKEN_CONSUMED');
      const listed = ExportsResponse.parse((await agent.get(path)).json).exports;
      expect(listed).toMatchObject([
        { consumed: true, imported_session_id: one.session_id, imported_by: null },
        { consumed: false, revoked_at: expect.any(String) as unknown },
        { consumed: false, revoked_at: null },
      ]);
    });
  });

  describe('§5 handoff', () => {
    // [SBP-L3-30] [SBP-L3-31] [SBP-L2-62]
    it('suspends the source, and goes on as another agent’s session', async () => {
      const agent = agentOf();
      const other = agentOf();
      const { sbp } = await agent.turn('Book a table.');
      const answer = await handedOff(agent, sbp.session_id, {
        ...{ to_agent_id: other.id, handoff_message: 'Mind the budget.', reason: 'Holidays.' },
      });
      expect(answer).toMatchObject({
        ...{ source_session_id: sbp.session_id, from_session_id: sbp.session_id },
        ...{ to_agent_id: other.id, origin_export_id: answer.export_id },
        new_session_token: answer.session_token,
      });
      expect(await agent.session(sbp.session_id)).toMatchObject({
        ...{ status: 'suspended', status_reason: 'handoff' },
      });
      const messages = [{ role: 'user', content: 'Go on.' }];
      const told = await agent.post({ model: 'gpt-4o', messages, sbp: {} });
      expect(told.status).toBe(202);
      expect(SbpProbe.parse((told.json as { sbp: unknown }).sbp).handed_off_to).toEqual({
        ...{ session_id: answer.new_session_id, agent_id: other.id },
      });
      const headers = { 'x-session-token': sbp.session_token };
      const byToken = await agent.post({ model: 'gpt-4o', messages }, headers);
      expect(byToken.json).not.toHaveProperty('sbp.handed_off_to');
      // The other agent goes on where it was left, and the model knows who said what.
      const next = await other.turn('What is to be done?');
      expect(next.sbp).toMatchObject({ session_id: answer.new_session_id, step_count: 2 });
      expect(next.completion.demo?.messages).toBe(4);
      const bridge = (await other.messages(answer.new_session_id)).find(
        ({ role }) => role === 'system',
      );
      expect(bridge?.['content']).toContain('Mind the budget.');
      expect(bridge?.['content']).toContain('Holidays.');
      expect(await said(other, answer.new_session_id)).toEqual([
        ...(await said(agent, sbp.session_id)),
        ...(await said(other, answer.new_session_id)).slice(2),
      ]);
      // Who names the source resumes it.
      const back = await agent.turn('Come back.', { session_id: sbp.session_id });
      expect(back.sbp).toMatchObject({ session_id: sbp.session_id, step_count: 2 });
    });

    // [SBP-L3-30]
    it('waits for the turn in flight, and is refused for a finished session', async () => {
      const agent = agentOf();
      const { sbp } = await agent.turn('Hello.');
      const stream = await agent.stream(steered('tokens=30 interval=40', 'Go on.'));
      await stream.until((so) => so.text() !== '');
      const handing = handedOff(agent, sbp.session_id, { to_agent_id: agentOf().id });
      await stream.whole();
      const { new_session_id: id } = await handing;
      expect(await agent.session(id)).toMatchObject({ step_count: 2, status: 'idle' });
      await agent.patch(sbp.session_id, 'completed');
      const late = await agent.send(`sessions/${sbp.session_id}/handoff`, { to_agent_id: 'b' });
      expect(late.status).toBe(409);
      const nobody = await agent.send(`sessions/${sbp.session_id}/handoff`, {});
      expect(nobody.status).toBe(422);
      expect(Failure.parse(nobody.json).error.message).toContain('to_agent_id');
    });

    // [SBP-L3-24]
    it('is asked for again with its Idempotency-Key, and is the same', async () => {
      const agent = agentOf();
      const { sbp } = await agent.turn('Hello.');
      const headers = { 'idempotency-key': randomUUID() };
      const body = { to_agent_id: agentOf().id };
      const one = await handedOff(agent, sbp.session_id, body, headers);
      const two = await handedOff(agent, sbp.session_id, body, headers);
      expect(two).toMatchObject({
        ...{ new_session_id: one.new_session_id, export_id: one.export_id },
      });
      const path = `sessions/${sbp.session_id}/handoff`;
      expect((await agent.send(path, { to_agent_id: 'x' }, headers)).status).toBe(422);
    });
  });

  describe('§5 fork', () => {
    // [SBP-L3-40] [SBP-L3-41]
    it('goes on from the head, and each goes its own way', async () => {
      const agent = agentOf();
      const { sbp } = await agent.turn([
        { role: 'system', content: 'Be brief.' },
        { role: 'user', content: 'Hello.' },
      ]);
      const fork = await forked(agent, sbp.session_id, { label: 'another way' });
      expect(fork).toMatchObject({
        ...{ fork_label: 'another way', origin_session_id: sbp.session_id },
        ...{ fork_point_step: 1, fork_point_msg: 2 },
      });
      expect(await said(agent, fork.fork_session_id)).toEqual(await said(agent, sbp.session_id));
      const there = await agent.turn('There.', { session_id: fork.fork_session_id });
      expect(there.sbp).toMatchObject({ session_id: fork.fork_session_id, step_count: 2 });
      // The system message, and the base's two.
      expect(there.completion.demo?.messages).toBe(4);
      // A fork is not the agent's live session.
      const here = await agent.turn('Here.');
      expect(here.sbp).toMatchObject({ session_id: sbp.session_id, step_count: 2 });
      expect(await said(agent, sbp.session_id)).not.toContain('user: There.');
      expect(await said(agent, fork.fork_session_id)).not.toContain('user: Here.');
      const found = SessionsResponse.parse(
        (await agent.get('sessions?label=another%20way&agent_id=' + agent.id)).json,
      );
      expect(found.sessions.map(({ session_id }) => session_id)).toEqual([fork.fork_session_id]);
    });

    // [SBP-L3-40]
    it('goes on from a step or a snapshot, whatever came after it', async () => {
      const agent = agentOf();
      // Its first turn is the surface's.
      const surface = await withGps(agent);
      const { sbp } = await agent.turn(steered('call=gps', 'Where?'));
      await agent.turn('Three.');
      await surface.close(1000);
      const all = await said(agent, sbp.session_id);
      for (const [step, count] of [
        [0, 0],
        [1, 2],
        [2, 6],
        [3, 8],
      ] as const) {
        const fork = await forked(agent, sbp.session_id, { at_step: step });
        expect(fork).toMatchObject({ fork_point_step: step, fork_point_msg: count });
        expect(await said(agent, fork.fork_session_id)).toEqual(all.slice(0, count));
      }
      const { snapshots } = SnapshotsResponse.parse(
        (await agent.get(`sessions/${sbp.session_id}/snapshots`)).json,
      );
      const counts: number[] = [];
      for (const { snapshot_id } of snapshots) {
        const fork = await forked(agent, sbp.session_id, { at_snapshot: snapshot_id });
        counts.push(fork.fork_point_msg);
        expect(await said(agent, fork.fork_session_id)).toEqual(all.slice(0, fork.fork_point_msg));
        await agent.turn('On.', { session_id: fork.fork_session_id });
      }
      expect(counts).toEqual([2, 4, 5, 6, 8]);
      const path = `sessions/${sbp.session_id}/fork`;
      const far = await agent.send(path, { at_step: 4 });
      expect(far.status).toBe(422);
      expect(Failure.parse(far.json).error.message).toContain('at_step');
      const unknown = await agent.send(path, { at_snapshot: randomUUID() });
      expect(unknown.status).toBe(404);
      const both = { at_step: 1, at_snapshot: randomUUID() };
      expect((await agent.send(path, both)).status).toBe(422);
    });

    // [SBP-L3-40] [SBP-L3-41]
    it('of a fork of an import can be forked, edited and exported', async () => {
      const agent = agentOf();
      const { sbp } = await agent.turn('One.');
      const { roaming_token } = await exported(agent, sbp.session_id);
      const { session_id: import1 } = await imported(agent, { roaming_token });
      await agent.turn('Two.', { session_id: import1 });
      const fork1 = (await forked(agent, import1)).fork_session_id;
      await agent.turn('Three.', { session_id: fork1 });
      const fork2 = (await forked(agent, fork1)).fork_session_id;
      const same = (await forked(agent, fork2)).fork_session_id;
      expect(await said(agent, same)).toEqual(await said(agent, fork1));
      const back = (await forked(agent, fork2, { at_step: 2 })).fork_session_id;
      expect(await said(agent, back)).toEqual(await said(agent, import1));
      // An edit reaches back into what it goes on from, and changes nothing there.
      const messages = await agent.messages(fork2);
      const kept = messages.filter(({ role }) => role !== 'system').slice(0, 2);
      const edit = [
        ...kept.map(({ role, ...message }) => ({ role, content: message['content'] })),
        { role: 'user', content: 'Otherwise.' },
      ];
      await agent.turn(edit, { session_id: fork2, history: 'full' });
      expect((await said(agent, fork2)).slice(0, 3)).toEqual([
        ...(await said(agent, sbp.session_id)),
        'user: Otherwise.',
      ]);
      expect(await said(agent, fork1)).toHaveLength(6);
      const out = await exported(agent, fork2);
      expect(out.message_count).toBe(4);
      const home = await imported(agent, { roaming_token: out.roaming_token });
      expect(await said(agent, home.session_id)).toEqual(await said(agent, fork2));
    });

    // [SBP-L3-41]
    it('of a fork, forty deep, says the same', async () => {
      const agent = agentOf();
      const { sbp } = await agent.turn('0');
      let id = sbp.session_id;
      for (let depth = 1; depth <= 40; depth++) {
        id = (await forked(agent, id)).fork_session_id;
        await agent.turn(String(depth), { session_id: id });
      }
      const asked = (await said(agent, id)).filter((text) => text.startsWith('user: '));
      expect(asked).toEqual(Array.from({ length: 41 }, (_, at) => `user: ${at}`));
      expect(await agent.session(id)).toMatchObject({ step_count: 41, message_count: 82 });
    });

    // [SBP-L3-24] [SBP-L3-40]
    it('is the same for the same Idempotency-Key, and waits for the turn in flight', async () => {
      const agent = agentOf();
      const { sbp } = await agent.turn('Hello.');
      const stream = await agent.stream(steered('tokens=30 interval=40', 'Go on.'));
      await stream.until((so) => so.text() !== '');
      const early = await forked(agent, sbp.session_id, { at_step: 1 });
      expect(early.fork_point_msg).toBe(2);
      const headers = { 'idempotency-key': randomUUID() };
      const forking = forked(agent, sbp.session_id, {}, headers);
      await stream.whole();
      const fork = await forking;
      expect(fork).toMatchObject({ fork_point_step: 2, fork_point_msg: 4 });
      const again = await forked(agent, sbp.session_id, {}, headers);
      expect(again.fork_session_id).toBe(fork.fork_session_id);
      const path = `sessions/${sbp.session_id}/fork`;
      expect((await agent.send(path, { label: 'x' }, headers)).status).toBe(422);
    });
  });

  describe('§5 lineage', () => {
    // [SBP-L3-50]
    it('tells of exports, handoffs, forks and the origin', async () => {
      const agent = agentOf();
      const other = agentOf();
      const { sbp } = await agent.turn('Hello.');
      const root = sbp.session_id;
      expect(await lineage(agent, root)).toEqual({
        ...{ session_id: root, exports: [], forks: [], origin: null },
        ...{ outgoing_handoffs: [], incoming_handoffs: [] },
      });
      const { roaming_token, export_id } = await exported(agent, root, { label: 'x' });
      const { session_id: copy } = await imported(agent, { roaming_token });
      const fork = await forked(agent, root, { label: 'y' });
      const handoff = await handedOff(agent, root, { to_agent_id: other.id, reason: 'z' });
      const known = await lineage(agent, root);
      expect(known.exports).toMatchObject([{ export_id, label: 'x', imported_session_id: copy }]);
      expect(known.forks).toMatchObject([
        {
          ...{ fork_session_id: fork.fork_session_id, fork_label: 'y' },
          ...{ fork_point_step: 1, fork_point_msg: 2 },
        },
      ]);
      expect(known.outgoing_handoffs).toMatchObject([
        {
          ...{ new_session_id: handoff.new_session_id, agent_id: other.id },
          ...{ export_id: handoff.export_id, reason: 'z', handoff_message: null },
        },
      ]);
      const origins = await Promise.all(
        [copy, fork.fork_session_id, handoff.new_session_id].map(async (id) => {
          return (await lineage(agent, id)).origin;
        }),
      );
      expect(origins).toMatchObject([
        { type: 'import', session_id: root, export_id, agent_id: agent.id, server: null },
        { type: 'fork', session_id: root, export_id: null },
        { type: 'handoff', session_id: root, export_id: handoff.export_id },
      ]);
      expect((await lineage(other, handoff.new_session_id)).incoming_handoffs).toMatchObject([
        { from_session_id: root, agent_id: agent.id },
      ]);
    });
  });
}
