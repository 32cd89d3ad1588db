import { randomUUID } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { surfaceDetached } from '#libs/domain/testing';
import type { LogEvent } from '#libs/protocol';
import type { SurfaceTimings } from '../surface-timings.js';
import { attach, eventually, sdk, visit, useScene } from '../testing/scene.js';
import { TestAgent } from '../testing/test-agent.js';
import type { TestGateway } from '../testing/test-gateway.js';
import type { TestSurface } from '../testing/test-surface.js';

const scene = useScene();

describe('a surface of a session that is quarantined', () => {
  // [SBP-ERR-10]
  it('is closed with 1013 as soon as it is, and whenever it comes back [A12]', async () => {
    const gateway = await scene.startGateway();
    const agent = await TestAgent.withTurns(scene.backend);
    const surface = await attach(gateway, agent);
    await surface.next('SESSION_ATTACHED');
    const later = { ...surfaceDetached(randomUUID(), { session: agent.sessionId }), schema: 2 };
    await scene.backend.append(later as unknown as LogEvent);
    expect(await surface.closed).toMatchObject({ code: 1013 });
    const back = await attach(gateway, agent);
    expect(await back.closed).toMatchObject({ code: 1013 });
  });
});

describe('attach and drain', () => {
  it('answers with what the surface said of itself and a token that works', async () => {
    const gateway = await scene.startGateway();
    const agent = await TestAgent.withTurns(scene.backend);
    const surface = await attach(gateway, agent, {
      device_type: 'mobile',
      surface_id: 'my phone',
      ui_capabilities: ['markdown', 'streaming'],
      mcp_tools: ['camera', 'gps', 'camera'],
    });
    const { session_token, ...attached } = await surface.next('SESSION_ATTACHED');
    expect(attached).toEqual({
      type: 'SESSION_ATTACHED',
      session_id: agent.sessionId,
      surface_id: 'my phone',
      device_type: 'mobile',
      queued_turns: 0,
      mcp_tools_registered: ['camera', 'gps'],
      sbp_version: '1.2',
      sbp_level: 'L5',
    });
    await expect(scene.backend.tokens.verify(session_token)).resolves.toMatchObject({
      sessionId: agent.sessionId,
    });
    expect(await agent.presence()).toBe('attached');
  });

  // [SBP-L2-20]
  it('drains what was made while no surface was there, in order, before anything else, and asks whether it was read', async () => {
    const gateway = await scene.startGateway();
    const agent = await TestAgent.withTurns(scene.backend, 'told to its caller');
    await visit(gateway, agent);
    await agent.run('first', 'connected');
    const failed = await agent.start();
    await agent.fail(failed);
    await agent.run('third');
    const surface = await attach(gateway, agent, sdk);
    await surface.next('PING');
    expect(surface.frames).toMatchObject([
      { type: 'SESSION_ATTACHED', queued_turns: 3 },
      {
        type: 'TETHER_TURN',
        turn_index: 0,
        seq: 1,
        role: 'assistant',
        content: 'first',
        model_used: 'test-model-1',
        status: 'completed',
      },
      {
        type: 'TETHER_TURN',
        turn_index: 1,
        seq: 2,
        content: '',
        turn_id: failed.turnId,
        status: 'failed',
        error: { code: 'SBP_UPSTREAM_UNAVAILABLE', message: 'The model is not there.' },
      },
      { type: 'TETHER_TURN', turn_index: 2, seq: 3, content: 'third' },
      { type: 'PING' },
    ]);
  });

  it('drains more turns than one read brings', async () => {
    const gateway = await scene.startGateway();
    const agent = await TestAgent.withTurns(scene.backend);
    await visit(gateway, agent);
    const texts = Array.from({ length: 230 }, (_, index) => `turn ${index}`);
    for (const text of texts) await agent.run(text);
    const surface = await attach(gateway, agent, sdk);
    expect(await surface.next('SESSION_ATTACHED')).toMatchObject({ queued_turns: 230 });
    await surface.next('PING');
    expect(surface.of('TETHER_TURN').map(({ content }) => content)).toEqual(texts);
  });

  // [SBP-L2-33]
  it('drains again what was not acknowledged, and never again what was', async () => {
    const gateway = await scene.startGateway();
    const agent = await TestAgent.withTurns(scene.backend);
    await visit(gateway, agent);
    await agent.run('one');
    const deaf = await attach(gateway, agent, sdk);
    await deaf.next('PING');
    deaf.socket.terminate();
    const attentive = await attach(gateway, agent, sdk);
    expect(await attentive.next('SESSION_ATTACHED')).toMatchObject({ queued_turns: 1 });
    await attentive.next('PING');
    attentive.send({ type: 'PONG' });
    await eventually(async () => (await agent.cursor()) === 1);
    attentive.socket.terminate();
    await agent.run('two');
    const third = await attach(gateway, agent, sdk);
    expect(await third.next('SESSION_ATTACHED')).toMatchObject({ queued_turns: 1 });
    expect(await third.next('TETHER_TURN')).toMatchObject({
      turn_index: 0,
      content: 'two',
      seq: 2,
    });
  });

  it('ignores a PONG that nothing asked for', async () => {
    const gateway = await scene.startGateway();
    const agent = await TestAgent.withTurns(scene.backend);
    await visit(gateway, agent);
    await agent.run('one');
    const surface = await attach(gateway, agent, sdk);
    await surface.next('PING');
    surface.send({ type: 'PONG' });
    surface.send({ type: 'PONG' });
    const turn = await agent.run('two');
    await surface.next('TURN_COMPLETE');
    expect(turn.turnId).toBe(surface.of('TURN_COMPLETE')[0]?.turn_id);
    // The second PONG came before the PING that asks for turn 2.
    await surface.next('PING');
    expect(await agent.cursor()).toBe(1);
    surface.send({ type: 'PONG' });
    await eventually(async () => (await agent.cursor()) === 2);
  });

  it('appends an acknowledgement only when the cursor moves', async () => {
    const gateway = await scene.startGateway({ pingEvery: 20 });
    const agent = await TestAgent.withTurns(scene.backend);
    await visit(gateway, agent);
    await agent.run('one');
    const surface = await attach(gateway, agent, sdk);
    for (let answered = 0; answered < 5; answered++) {
      await surface.next('PING');
      surface.send({ type: 'PONG' });
    }
    surface.send({ type: 'DETACH' });
    await surface.closed;
    const acknowledged = (await agent.surfaceEvents()).filter(
      ({ type }) => type === 'surface.acknowledged',
    );
    expect(acknowledged).toHaveLength(1);
  });
});

describe('a client that answers only by its library', () => {
  async function owedTurn(timings: Partial<SurfaceTimings>): Promise<[TestGateway, TestAgent]> {
    const gateway = await scene.startGateway(timings);
    const agent = await TestAgent.withTurns(scene.backend);
    await visit(gateway, agent);
    await agent.run('one');
    return [gateway, agent];
  }

  it('acknowledges by staying for a while', async () => {
    const [gateway, agent] = await owedTurn({ stay: 50 });
    const surface = await attach(gateway, agent);
    await eventually(async () => (await agent.cursor()) === 1);
    expect(surface.of('PING')).toHaveLength(1);
  });

  // [SBP-L2-32]
  it('acknowledges nothing newer by a PONG that comes after its library had stood in', async () => {
    const [gateway, agent] = await owedTurn({ stay: 20 });
    const surface = await gateway.connect(agent.sessionId, { autoPong: false });
    surface.socket.once('ping', (payload) => surface.socket.pong(payload));
    surface.attach(agent.sessionId, await agent.token());
    await surface.next('PING');
    await eventually(async () => (await agent.cursor()) === 1);
    await agent.run('two');
    await surface.next('PING');
    surface.send({ type: 'PONG' });
    surface.send({ type: 'DETACH' });
    expect(await surface.closed).toMatchObject({ code: 1000 });
    expect(await agent.cursor()).toBe(1);
  });

  it.each([1000, 1001])('acknowledges by closing with %i', async (code) => {
    const [gateway, agent] = await owedTurn({});
    const surface = await attach(gateway, agent);
    await surface.until(({ pings }) => pings > 0);
    surface.socket.close(code);
    await eventually(async () => (await agent.presence()) === 'detached');
    expect(await agent.cursor()).toBe(1);
    const types = (await agent.surfaceEvents()).map(({ type }) => type);
    expect(types.slice(-2)).toEqual(['surface.acknowledged', 'surface.detached']);
  });

  it('acknowledges by DETACH', async () => {
    const [gateway, agent] = await owedTurn({});
    const surface = await attach(gateway, agent);
    await surface.until(({ pings }) => pings > 0);
    surface.send({ type: 'DETACH' });
    expect(await surface.closed).toMatchObject({ code: 1000 });
    expect(await agent.cursor()).toBe(1);
  });

  it.each([
    ['vanishes', (surface: TestSurface) => surface.socket.terminate()],
    ['closes without a code', (surface: TestSurface) => surface.socket.close()],
  ])('acknowledges nothing when it %s', async (_, leave) => {
    const [gateway, agent] = await owedTurn({});
    const surface = await attach(gateway, agent);
    await surface.until(({ pings }) => pings > 0);
    leave(surface);
    await eventually(async () => (await agent.presence()) === 'detached');
    expect(await agent.cursor()).toBe(0);
  });

  it('acknowledges nothing if it said that it does so itself', async () => {
    const [gateway, agent] = await owedTurn({ stay: 10 });
    const surface = await attach(gateway, agent, sdk);
    await surface.until(({ pings }) => pings > 0);
    surface.socket.close(1000);
    await eventually(async () => (await agent.presence()) === 'detached');
    expect(await agent.cursor()).toBe(0);
  });
});
