import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { Agent, steered } from './clients/agent.js';
import { ACKNOWLEDGES, Surface } from './clients/surface.js';
import { rebuildableEmbedded } from './rebuild/embedded.js';
import type { Rebuildable } from './rebuild/rebuildable.js';
import { rebuildableStack } from './rebuild/stack.js';

const READ_MODELS = ['turns', 'exports', 'live_sessions'] as const;

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
      sessions.map(async (id) => [await agent.session(id), await agent.messages(id)]),
    );
  };
  const tables = async (): Promise<unknown[][]> =>
    Promise.all(
      READ_MODELS.map(async (table) =>
        (await installation.rows(table)).map((row) => JSON.stringify(row)).sort(),
      ),
    );

  it('gives the same sessions, transcripts, cursors and exports, and they go on', async () => {
    const url = await installation.start();
    const [away, plain] = [new Agent(url), new Agent(url)];
    const { sbp: first } = await away.turn('One.');
    const surface = await Surface.attach(url, first, ACKNOWLEDGES);
    await away.turn('Two.');
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
    const sessions = [first.session_id, other.session_id];
    const before = await found(url, sessions);
    await installation.stop();
    const rowsBefore = await tables();

    await installation.emptyTables();
    await installation.rebuild();

    expect(await tables()).toEqual(rowsBefore);
    const again = await installation.start();
    expect(await found(again, sessions)).toEqual(before);
    const back = await Surface.attach(again, first, ACKNOWLEDGES);
    expect(back.attached).toMatchObject({ queued_turns: 1 });
    expect(await back.next('TETHER_TURN')).toMatchObject({ seq: 2 });
    const next = await Object.assign(new Agent(again), { id: away.id }).turn('Five.');
    expect(next.sbp).toMatchObject({ session_id: first.session_id, step_count: 4 });
  });
});
