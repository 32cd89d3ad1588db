import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import type { UsageRow } from '#libs/protocol';
import {
  AuditResponse,
  ExportResponse,
  ForkResponse,
  HandoffResponse,
  ImportResponse,
  UsageResponse,
} from '#libs/protocol';
import { Agent, steered } from './clients/agent.js';
import { ACKNOWLEDGES, Surface } from './clients/surface.js';
import { rebuildableEmbedded } from './rebuild/embedded.js';
import type { Rebuildable } from './rebuild/rebuildable.js';
import { READ_MODELS } from './rebuild/rebuildable.js';
import { rebuildableStack } from './rebuild/stack.js';

const CONTEXT = {
  acknowledges: true,
  mcp_tools: ['gps'],
  mcp_tool_schemas: { gps: { description: 'Where it is.' } },
};

const BY_ALL = 'group_by=day,principal,agent,model,device';
/** Turns that end in the test below before the rebuild. */
const TURNS = 5;
const SOON = { timeout: 60_000, interval: 200 };

describe.each([
  { topology: 'embedded', prepare: rebuildableEmbedded },
  { topology: 'stack', prepare: rebuildableStack },
])('$topology: a rebuild from the log', ({ prepare }) => {
  let installation: Rebuildable;

  beforeAll(async () => {
    installation = await prepare();
  });

  afterAll(async () => {
    await installation.stop();
    await installation.remove();
  });

  const found = async (url: string, sessions: readonly string[]): Promise<unknown[]> => {
    const agent = new Agent(url);
    return Promise.all(
      sessions.map(async (id) => [
        ...[await agent.session(id), await agent.messages(id)],
        (await agent.get(`sessions/${id}/lineage`)).json,
      ]),
    );
  };
  const tables = async (): Promise<unknown[][]> =>
    Promise.all(
      READ_MODELS.map(async (table) =>
        (await installation.rows(table)).map((row) => JSON.stringify(row)).sort(),
      ),
    );

  const usageAt = async (url: string): Promise<readonly UsageRow[]> =>
    UsageResponse.parse((await new Agent(url).get(`analytics/usage?${BY_ALL}`)).json).rows;
  const trailAt = async (url: string): Promise<AuditResponse> =>
    AuditResponse.parse((await new Agent(url).get('audit?limit=1000')).json);
  const ended = (rows: readonly UsageRow[]): number =>
    rows.reduce((sum, { turns }) => sum + turns.completed + turns.failed, 0);

  /** A fork, an import and a handoff of a session. */
  async function relatives(agent: Agent, id: string): Promise<readonly string[]> {
    const { roaming_token } = ExportResponse.parse((await agent.export(id)).json);
    const fork = ForkResponse.parse((await agent.send(`sessions/${id}/fork`, { label: 'x' })).json);
    await agent.turn('Here.', { session_id: fork.fork_session_id });
    const copy = ImportResponse.parse(
      (await agent.send('sessions/import', { roaming_token })).json,
    );
    const handoff = HandoffResponse.parse(
      (await agent.send(`sessions/${id}/handoff`, { to_agent_id: 'other' })).json,
    );
    return [fork.fork_session_id, copy.session_id, handoff.new_session_id];
  }

  it(
    'gives the same sessions, lineage, transcripts, cursors, exports and usage, and they go on',
    { timeout: 180_000 },
    async () => {
      const url = await installation.start();
      const [away, plain] = [new Agent(url), new Agent(url)];
      const { sbp: first } = await away.turn('One.');
      const surface = await Surface.attach(url, first, { context: CONTEXT });
      const second = away.turn(steered('call=gps', 'Two.'));
      const { call_id } = await surface.next('TOOL_CALL');
      surface.send({ type: 'TOOL_RESULT', call_id, result: { lat: 48.2 } });
      await second;
      await surface.next('TURN_COMPLETE');
      await surface.acknowledge();
      await surface.close(1000);
      await vi.waitFor(
        async () =>
          expect(await away.session(first.session_id)).toMatchObject({
            surface: null,
            queued_turns: 0,
          }),
        { timeout: 60_000 },
      );
      await away.turn('Three, while nobody is there.');
      await away.post(steered('fail=status:500', 'Four, which fails.'));
      const { sbp: other } = await plain.turn('Alone.');
      await plain.export(other.session_id, { label: 'before' });
      const derived = await relatives(plain, other.session_id);
      const sessions = [first.session_id, other.session_id, ...derived];
      const before = await found(url, sessions);
      await vi.waitFor(async () => expect(ended(await usageAt(url))).toBe(TURNS), SOON);
      const usage = await usageAt(url);
      const { records: trail } = await trailAt(url);
      await installation.stop();
      const rowsBefore = await tables();

      await installation.emptyTables();
      await installation.rebuild();

      expect(await tables()).toEqual(rowsBefore);
      const again = await installation.start();
      expect(await found(again, sessions)).toEqual(before);
      // Usage is counted anew, and the trail is the one that was there.
      await vi.waitFor(async () => expect(await usageAt(again)).toEqual(usage), SOON);
      expect((await trailAt(again)).records).toEqual(expect.arrayContaining([...trail]));
      const back = await Surface.attach(again, first, ACKNOWLEDGES);
      expect(back.attached).toMatchObject({ queued_turns: 1 });
      expect(await back.next('TETHER_TURN')).toMatchObject({ seq: 2 });
      const next = await Object.assign(new Agent(again), { id: away.id }).turn('Five.');
      expect(next.sbp).toMatchObject({ session_id: first.session_id, step_count: 4 });
    },
  );
});
