import { randomUUID } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { ForkResponse, SnapshotResponse, SnapshotsResponse } from '#libs/protocol';
import { Agent, steered } from '../clients/agent.js';
import { gpsOn, withGps } from '../clients/gps-surface.js';
import type { GetServer } from '../topology/server.js';

/** Named places in a session. */
export function snapshots(server: GetServer): void {
  describe('§4 the snapshots of a session', () => {
    /** Two turns, the second with two rounds of calls. */
    async function withCalls() {
      const agent = new Agent(server().url);
      const surface = await withGps(agent);
      const { sbp } = await agent.turn(steered('call=gps rounds=2', 'Where?'));
      await surface.close(1000);
      const { session_id: sessionId, snapshot_id: last } = sbp;
      const path = `sessions/${sessionId}/snapshots`;
      const list = async (query = '') =>
        SnapshotsResponse.parse((await agent.get(`${path}${query}`)).json);
      const one = async (id: string | null) =>
        SnapshotResponse.parse((await agent.get(`${path}/${id ?? ''}`)).json);
      return { agent, sessionId, last, path, list, one };
    }

    // [SBP-L3-16]
    it('are at completed turns, before calls of tools and after them, in order and by pages', async () => {
      const { list, last, path, agent } = await withCalls();
      const { snapshots: all, next_cursor } = await list();
      expect(all.map(({ kind }) => kind)).toEqual([
        ...['checkpoint', 'pre_action', 'post_action', 'pre_action', 'post_action', 'checkpoint'],
      ]);
      expect(next_cursor).toBeNull();
      expect(all.at(-1)?.snapshot_id).toBe(last);
      const paged: unknown[] = [];
      for (let after = ''; ;) {
        const page = await list(`?limit=2${after}`);
        paged.push(...page.snapshots);
        if (page.next_cursor === null) break;
        after = `&after=${page.next_cursor}`;
      }
      expect(paged).toEqual(all);
      const unknown = await agent.get(`${path}/${randomUUID()}`);
      expect([unknown.status, unknown.text]).toEqual([404, expect.stringContaining('snapshot')]);
      expect((await agent.get(`${path}/none`)).status).toBe(422);
    });

    // [SBP-L3-16]
    it('are what the session was there, whatever comes later', async () => {
      const { agent, list, one, sessionId } = await withCalls();
      const { snapshots: all } = await list();
      const whole = await agent.messages(sessionId);
      // An edit of the first turn.
      const [asked] = whole;
      await agent.turn([{ role: 'user', content: asked?.['content'] }], { history: 'full' });
      expect((await agent.messages(sessionId)).length).toBeLessThan(whole.length);
      const found = await Promise.all(all.map(({ snapshot_id }) => one(snapshot_id)));
      expect(found.map(({ messages }) => messages.map(({ role }) => role))).toEqual([
        ['user', 'assistant'],
        ['user', 'assistant', 'user', 'assistant'],
        ['user', 'assistant', 'user', 'assistant', 'tool'],
        ['user', 'assistant', 'user', 'assistant', 'tool', 'assistant'],
        ['user', 'assistant', 'user', 'assistant', 'tool', 'assistant', 'tool'],
        ['user', 'assistant', 'user', 'assistant', 'tool', 'assistant', 'tool', 'assistant'],
      ]);
      expect(found.map(({ step_count }) => step_count)).toEqual([1, 1, 1, 1, 1, 2]);
      expect(found.map(({ messages }) => messages.map(({ index }) => index).at(-1))).toEqual([
        ...[1, 3, 4, 5, 6, 7],
      ]);
      expect(found.at(-1)?.messages.map(({ content }) => content)).toEqual(
        whole.map(({ content }) => content),
      );
      expect(found[1]).toMatchObject({
        current_task: steered('call=gps rounds=2', 'Where?'),
        model: 'gpt-4o',
      });
    });

    // [SBP-L3-16]
    it('of a fork count the steps of what it was made from', async () => {
      const { agent, sessionId } = await withCalls();
      const forked = await agent.send(`sessions/${sessionId}/fork`, {});
      const { fork_session_id: fork, session_token } = ForkResponse.parse(forked.json);
      const surface = await gpsOn(agent.url, { session_id: fork, session_token });
      await agent.turn(steered('call=gps', 'Where?'), { session_id: fork });
      await surface.close(1000);
      const { snapshots: all } = SnapshotsResponse.parse(
        (await agent.get(`sessions/${fork}/snapshots`)).json,
      );
      const found = await Promise.all(
        all.map(async ({ kind, snapshot_id: id }) => {
          const { json } = await agent.get(`sessions/${fork}/snapshots/${id}`);
          return [kind, SnapshotResponse.parse(json).step_count];
        }),
      );
      expect(found).toEqual([
        ['pre_action', 2],
        ['post_action', 2],
        ['checkpoint', 3],
      ]);
    });
  });
}
