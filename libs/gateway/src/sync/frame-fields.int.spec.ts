import { describe, expect, it } from 'vitest';
import type { SurfaceContext } from '#libs/protocol';
import { attach, sdk, useScene, visit } from '../testing/scene.js';
import { TestAgent } from '../testing/test-agent.js';

const scene = useScene();

/** A turn in the drain and one live, as a surface with this context gets them. */
async function shown(context: SurfaceContext) {
  const gateway = await scene.startGateway();
  const agent = await TestAgent.withTurns(scene.backend);
  await visit(gateway, agent);
  await agent.run('drained');
  const surface = await attach(gateway, agent, { ...sdk, ...context });
  await surface.next('TETHER_TURN');
  const turn = await agent.start();
  agent.say(await agent.asked(), 0, 'live');
  await surface.next('TURN_CHUNK');
  await agent.complete(turn, 'live');
  await surface.next('TURN_COMPLETE');
  const { sessionId: session_id } = agent;
  return { session_id, frames: surface.frames.filter(({ type }) => /TURN/.test(type)) };
}

// [SBP-WS-13]
describe('the frames of a turn', () => {
  it('have their fields under second names too', async () => {
    const { session_id, frames } = await shown({});
    const turn = { role: 'assistant', content: 'drained', model_used: 'test-model-1' };
    expect(frames).toMatchObject([
      { type: 'TETHER_TURN', session_id, turn },
      { type: 'TURN_CHUNK', session_id, chunk: 'live', content: 'live', step: 3, model: null },
      { type: 'TURN_COMPLETE', session_id, step: 3, model: 'test-model-1', cost_usd: null },
    ]);
  });

  it('have none where the surface wants none', async () => {
    const { frames } = await shown({ aliases: false });
    const names = ['session_id', 'turn', 'chunk', 'content', 'step', 'model', 'cost_usd'];
    const found = frames.map((frame) => Object.keys(frame).filter((key) => names.includes(key)));
    expect(found).toEqual([['content'], [], []]);
  });
});

// [SBP-L4-07]
describe('a surface that does not stream', () => {
  it('asks no runner, and is in step for the sweep while a turn runs', async () => {
    const gateway = await scene.startGateway();
    const agent = await TestAgent.withTurns(scene.backend);
    await visit(gateway, agent);
    await agent.run('drained');
    const surface = await attach(gateway, agent, { ...sdk, ui_capabilities: [] });
    await surface.next('TETHER_TURN');
    const turn = await agent.start();
    await gateway.sweep();
    await agent.complete(turn, 'whole');
    expect(await surface.next('TETHER_TURN')).toMatchObject({
      ...{ turn_index: 1, seq: 2, content: 'whole', status: 'completed', turn_id: turn.turnId },
    });
    const failing = await agent.start();
    await agent.fail(failing);
    expect(await surface.next('TETHER_TURN')).toMatchObject({
      ...{ turn_index: 2, seq: 3, content: '', status: 'failed', turn_id: failing.turnId },
    });
    expect(agent.watches).toEqual([]);
    expect(surface.frames.filter(({ type }) => /CHUNK|COMPLETE/.test(type))).toEqual([]);
  });
});
