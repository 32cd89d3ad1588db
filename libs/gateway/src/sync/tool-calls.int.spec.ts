import { describe, expect, it, vi } from 'vitest';
import { attach, sdk, useScene } from '../testing/scene.js';
import { TestAgent } from '../testing/test-agent.js';

const scene = useScene();
const context = { ...sdk, mcp_tools: ['gps'] };

/** A surface with a tool on a session whose turn runs. */
async function calling() {
  const gateway = await scene.startGateway();
  const agent = await TestAgent.withTurns(scene.backend);
  const surface = await attach(gateway, agent, context);
  await surface.next('SESSION_ATTACHED');
  return { gateway, agent, surface, turn: await agent.start() };
}

/** Waits until the session has no call open. */
async function returned(agent: TestAgent): Promise<void> {
  await vi.waitFor(async () => expect((await agent.session()).calls).toEqual([]));
}

// [SBP-L5-02] [SBP-L5-06]
describe('the calls of a surface', () => {
  it('are told once each, in their order, whatever looks again', async () => {
    const { gateway, agent, surface, turn } = await calling();
    await agent.call(turn, 1, 3);
    await surface.until(() => surface.of('TOOL_CALL').length === 3);
    await gateway.sweep();
    await agent.complete(turn, 'done');
    await surface.next('TURN_COMPLETE');
    expect(
      surface.of('TOOL_CALL').map(({ tool_name, tool_input }) => [tool_name, tool_input]),
    ).toEqual([0, 1, 2].map((at) => ['gps', { at }]));
  });

  it('are found by the sweep where a poke was lost [A8]', async () => {
    const { gateway, agent, surface, turn } = await calling();
    scene.backend.pokes = false;
    await agent.call(turn, 1);
    await gateway.sweep();
    const { call_id } = await surface.next('TOOL_CALL');
    surface.send({ type: 'TOOL_RESULT', call_id, result: 1 });
    await returned(agent);
    // The next one has the same number of open calls.
    await agent.call(turn, 2);
    await gateway.sweep();
    expect((await surface.next('TOOL_CALL')).call_id).not.toBe(call_id);
  });

  it('have one outcome in the log, however often a surface answers', async () => {
    const { agent, surface, turn } = await calling();
    await agent.call(turn, 1, 2);
    const first = await surface.next('TOOL_CALL');
    const second = await surface.next('TOOL_CALL');
    for (const result of [1, 2, 3]) {
      surface.send({ type: 'TOOL_RESULT', call_id: first.call_id, result });
    }
    surface.send({ type: 'TOOL_RESULT', call_id: second.call_id, error: 'No.' });
    await returned(agent);
    const events = await scene.backend.events(agent.sessionId);
    const outcomes = events.filter(({ type }) => type === 'tool.returned');
    expect(outcomes).toMatchObject([
      { data: { call_id: first.call_id, outcome: 'result' }, content: { result: 1 } },
      { data: { call_id: second.call_id, outcome: 'error' }, content: { error: 'No.' } },
    ]);
  });

  it('are not told to another surface, and not answered by one that has left', async () => {
    const { gateway, agent, surface, turn } = await calling();
    await agent.call(turn, 1);
    const { call_id } = await surface.next('TOOL_CALL');
    const next = await attach(gateway, agent, context);
    await next.next('SESSION_ATTACHED');
    next.send({ type: 'TOOL_RESULT', call_id, result: 'of another' });
    await agent.call(turn, 2);
    expect((await next.next('TOOL_CALL')).call_id).not.toBe(call_id);
    expect(next.of('TOOL_CALL')).toHaveLength(1);
    const events = await scene.backend.events(agent.sessionId);
    expect(events.filter(({ type }) => type === 'tool.returned')).toEqual([]);
  });
});

// [SBP-L5-12] [SBP-L5-13]
describe('calls that wait', () => {
  it('are told when a human allows them, by the sweep where the poke was lost, and not before', async () => {
    const { gateway, agent, surface, turn } = await calling();
    await agent.asked();
    await agent.call(turn, 1, 1, { needsApproval: true });
    await agent.park(turn);
    // Nobody runs it: no runner is asked for its text, however often it is looked at.
    for (let sweeps = 0; sweeps < 3; sweeps++) await gateway.sweep();
    expect(agent.watches).toEqual([]);
    expect(surface.of('TOOL_CALL')).toEqual([]);
    scene.backend.pokes = false;
    await agent.approve();
    await gateway.sweep();
    expect(await surface.next('TOOL_CALL')).toMatchObject({ tool_name: 'gps' });
  });

  it('are told again, by the same id, to the next surface that has their tool', async () => {
    const { gateway, agent, surface, turn } = await calling();
    await agent.call(turn, 1, 2, { onSurfaceLost: 'wait' });
    await surface.until(() => surface.of('TOOL_CALL').length === 2);
    const [first, second] = surface.of('TOOL_CALL').map(({ call_id }) => call_id);
    surface.send({ type: 'TOOL_RESULT', call_id: first, result: 1 });
    await vi.waitFor(async () => expect((await agent.session()).calls).toHaveLength(1));
    surface.socket.terminate();
    const other = await attach(gateway, agent, { ...sdk, mcp_tools: ['camera'] });
    await other.next('SESSION_ATTACHED');
    const next = await attach(gateway, agent, context);
    expect((await next.next('TOOL_CALL')).call_id).toBe(second);
    next.send({ type: 'TOOL_RESULT', call_id: second, result: 2 });
    await returned(agent);
    expect(other.of('TOOL_CALL')).toEqual([]);
    expect(next.of('TOOL_CALL')).toHaveLength(1);
  });
});
