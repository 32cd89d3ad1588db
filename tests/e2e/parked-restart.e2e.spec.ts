import { randomUUID } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { SbpParked, TurnResponse } from '#libs/protocol';
import { startStack } from '../../tools/stack/index.js';
import { guardFolder } from '../../tools/supervise/index.js';
import { Agent, steered } from './clients/agent.js';
import { Surface } from './clients/surface.js';
import { embeddedProgram } from './topology/embedded.js';
import { sharedStack } from './topology/stack.js';

/** All processes of an installation, which can be started again on what they left behind. */
interface Run {
  readonly url: string;
  stop(): Promise<void>;
}

async function embedded(dataDir: string): Promise<Run> {
  const program = embeddedProgram(path.join(dataDir, 'embedded'));
  await program.start();
  return program;
}

function services(dataDir: string, name: string): Promise<Run> {
  const replicas = { completions: 2, gateway: 2, sessions: 2 };
  return startStack({ ...sharedStack(dataDir, name), replicas });
}

// [SBP-L5-14]
describe.each([
  ['embedded', embedded],
  ['services', services],
] as const)('a parked turn on %s', (_name, start) => {
  let dataDir: string;
  const name = `e2e-${randomUUID()}`;
  let running: Run | null = null;

  beforeEach(async () => {
    dataDir = await mkdtemp(path.join(tmpdir(), 'statebridge-parked-'));
    guardFolder(dataDir);
  });
  afterEach(async () => {
    await running?.stop();
    await rm(dataDir, { recursive: true, force: true });
  });

  it('goes on when its device comes back after a restart of everything', async () => {
    running = await start(dataDir, name);
    const agent = new Agent(running.url);
    const { sbp: key } = await agent.turn('Hello.');
    const context = { mcp_tools: ['gps'] };
    const surface = await Surface.attach(running.url, key, { context });
    const asking = agent.post({
      model: 'm',
      messages: [{ role: 'user', content: steered('call=gps', 'Where am I?') }],
      sbp: { on_surface_lost: 'wait' },
    });
    const { call_id } = await surface.next('TOOL_CALL');
    await surface.drop();
    const { status, json } = await asking;
    expect(status).toBe(202);
    const { turn_id } = SbpParked.parse((json as { readonly sbp: unknown }).sbp);
    await running.stop();

    running = await start(dataDir, name);
    const again = agent.at(running.url);
    const turn = async () => {
      const { json: found } = await again.get(`sessions/${key.session_id}/turns/${turn_id}`);
      return TurnResponse.parse(found);
    };
    expect(await turn()).toMatchObject({
      status: 'parked',
      pending_calls: [{ call_id, tool_name: 'gps', waits_for: 'device' }],
    });
    const back = await Surface.attach(running.url, key, { context });
    expect(await back.next('TOOL_CALL')).toMatchObject({ call_id, tool_name: 'gps' });
    back.send({ type: 'TOOL_RESULT', call_id, result: 'At home.' });
    await back.until(() => back.of('TURN_COMPLETE').some((end) => end.turn_id === turn_id));
    const { status: ended, content } = await turn();
    expect(ended).toBe('completed');
    expect(content).toContain('At home.');
  });
});
