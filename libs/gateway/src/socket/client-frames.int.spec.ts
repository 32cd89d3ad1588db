import { describe, expect, it } from 'vitest';
import { attach, eventually, hold, sdk, useScene } from '../testing/scene.js';
import { TestAgent } from '../testing/test-agent.js';
import type { TestSurface } from '../testing/test-surface.js';

const scene = useScene();

describe('frames of a client', () => {
  it.each([
    ['binary', (surface: TestSurface) => surface.socket.send(Buffer.from('{}'))],
    ['no JSON', (surface: TestSurface) => surface.socket.send('hello')],
    ['no object', (surface: TestSurface) => surface.send(['PONG'])],
  ])('that are %s end the connection with 1003, first or later', async (_, send) => {
    const gateway = await scene.startGateway();
    const agent = await TestAgent.withTurns(scene.backend);
    const first = await gateway.connect(agent.sessionId);
    send(first);
    await first.next('PROTOCOL_ERROR');
    expect(await first.closed).toMatchObject({ code: 1003 });
    expect(await agent.surfaceEvents()).toEqual([]);
    const later = await attach(gateway, agent, sdk);
    await later.next('SESSION_ATTACHED');
    send(later);
    await later.next('PROTOCOL_ERROR');
    expect(await later.closed).toMatchObject({ code: 1003 });
    await eventually(async () => (await agent.detachReasons()).join() === 'refused');
  });

  it('must begin with ATTACH_SESSION', async () => {
    const gateway = await scene.startGateway();
    const agent = await TestAgent.withTurns(scene.backend);
    const surface = await gateway.connect(agent.sessionId);
    surface.send({ type: 'PONG' });
    surface.attach(agent.sessionId, await agent.token());
    expect(await surface.closed).toMatchObject({ code: 1003 });
    expect(surface.frames).toEqual([
      { type: 'PROTOCOL_ERROR', detail: "Expected ATTACH_SESSION as first frame, got 'PONG'" },
    ]);
    expect(await agent.surfaceEvents()).toEqual([]);
  });

  it('must name the session of the path', async () => {
    const gateway = await scene.startGateway();
    const [mine, other] = [
      await TestAgent.withTurns(scene.backend),
      await TestAgent.withTurns(scene.backend),
    ];
    const surface = await gateway.connect(mine.sessionId);
    surface.attach(other.sessionId, await other.token());
    await surface.next('PROTOCOL_ERROR');
    expect(await surface.closed).toMatchObject({ code: 1003 });
  });

  it.each([
    ['is no UUID', 'abc123'],
    ['was never opened', '11111111-2222-4333-8444-555555555555'],
    ['cannot be decoded', '%zz'],
  ])('get 4004 for a session that %s, whatever the token', async (_, sessionId) => {
    const gateway = await scene.startGateway();
    const surface = await gateway.connect(sessionId);
    surface.attach(sessionId, 'forged');
    expect(await surface.next('SESSION_NOT_FOUND')).toMatchObject({
      detail: `No session with ID ${sessionId}`,
    });
    expect(await surface.closed).toMatchObject({ code: 4004 });
  });

  it.each([
    ['forged', () => Promise.resolve('forged')],
    ['missing', () => Promise.resolve(undefined)],
    ["another session's", async () => (await TestAgent.withTurns(scene.backend)).token()],
  ])('get 4003 for a token that is %s', async (_, makeToken) => {
    const gateway = await scene.startGateway();
    const agent = await TestAgent.withTurns(scene.backend);
    const surface = await gateway.connect(agent.sessionId);
    surface.send({
      type: 'ATTACH_SESSION',
      session_id: agent.sessionId,
      session_token: await makeToken(),
    });
    await surface.next('FORBIDDEN');
    expect(await surface.closed).toMatchObject({ code: 4003 });
    expect(await agent.surfaceEvents()).toEqual([]);
  });

  it('must come in time', async () => {
    const gateway = await scene.startGateway({ firstFrame: 20 });
    const agent = await TestAgent.withTurns(scene.backend);
    const surface = await gateway.connect(agent.sessionId);
    await surface.next('PROTOCOL_ERROR');
    expect(await surface.closed).toMatchObject({ code: 1003 });
  });

  it('must not be too big: an attach above 64 KiB, any above 8 MiB', async () => {
    const gateway = await scene.startGateway();
    const agent = await TestAgent.withTurns(scene.backend);
    const first = await gateway.connect(agent.sessionId);
    first.attach(agent.sessionId, await agent.token(), { locale: 'x'.repeat(64 * 1024) });
    expect(await first.closed).toMatchObject({ code: 1009 });
    const again = await attach(gateway, agent, sdk);
    await again.next('SESSION_ATTACHED');
    again.attach(agent.sessionId, await agent.token(), { locale: 'x'.repeat(64 * 1024) });
    expect(await again.closed).toMatchObject({ code: 1009 });
    const later = await attach(gateway, agent, sdk);
    await later.next('SESSION_ATTACHED');
    later.send({ type: 'TOOL_RESULT', result: 'x'.repeat(8 * 1024 * 1024) });
    expect(await later.closed).toMatchObject({ code: 1009 });
  });

  it('wait for SESSION_ATTACHED, in order', async () => {
    const gateway = await scene.startGateway();
    const agent = await TestAgent.withTurns(scene.backend);
    const surface = await attach(gateway, agent, sdk);
    surface.send({ type: 'PONG' });
    surface.send({ type: 'DETACH' });
    surface.socket.send('hello');
    expect(await surface.closed).toMatchObject({ code: 1000 });
    expect(surface.of('SESSION_ATTACHED')).toHaveLength(1);
    expect(await agent.detachReasons()).toEqual(['detach']);
  });

  // [SBP-WS-05]
  it('cannot wait for SESSION_ATTACHED in any number', async () => {
    const gateway = await scene.startGateway();
    const agent = await TestAgent.withTurns(scene.backend);
    const [held, go] = hold(scene.backend, 'surface.attached');
    const surface = await attach(gateway, agent, sdk);
    await held;
    for (let frame = 0; frame < 300; frame++) surface.send({ type: 'PONG' });
    expect(await surface.closed).toMatchObject({ code: 1009 });
    go();
    await eventually(async () => (await agent.detachReasons()).length === 1);
  });

  // [SBP-WS-05]
  it('cannot wait in any size for an attach that was not admitted yet', async () => {
    const gateway = await scene.startGateway();
    const agent = await TestAgent.withTurns(scene.backend);
    const [held, go] = hold(scene.backend, 'surface.attached');
    const surface = await attach(gateway, agent, sdk);
    await held;
    surface.send({ type: 'WAVE', wave: 'x'.repeat(64 * 1024) });
    expect(await surface.closed).toMatchObject({ code: 1009 });
    go();
    await eventually(async () => (await agent.detachReasons()).length === 1);
  });

  // [SBP-WS-12]
  it.each([
    ['frames', (surface: TestSurface) => surface.send({ type: 'WAVE' })],
    ['bytes', (surface: TestSurface) => surface.send({ type: 'WAVE', wave: 'x'.repeat(4e6) })],
    ['pings', (surface: TestSurface) => surface.socket.ping()],
    ['pongs', (surface: TestSurface) => surface.socket.pong()],
  ])('send their surface away for a while where too many %s come', async (_, send) => {
    const gateway = await scene.startGateway();
    const agent = await TestAgent.withTurns(scene.backend);
    const surface = await attach(gateway, agent, sdk);
    await surface.next('SESSION_ATTACHED');
    while (surface.socket.readyState === surface.socket.OPEN) {
      send(surface);
      do await new Promise((resolve) => setImmediate(resolve));
      while (surface.socket.bufferedAmount > 0);
    }
    expect(await surface.closed).toMatchObject({ code: 1013 });
    await eventually(async () => (await agent.detachReasons()).join() === 'refused');
  });

  // [SBP-WS-04]
  it('of unknown type or for tools are ignored; with bad fields also counted', async () => {
    const gateway = await scene.startGateway();
    const agent = await TestAgent.withTurns(scene.backend);
    const surface = await attach(gateway, agent, sdk);
    await surface.next('SESSION_ATTACHED');
    for (let frame = 0; frame < 1000; frame++) surface.send({ type: 'WAVE', frame });
    surface.send({ pong: true });
    surface.send({ type: 'TOOL_RESULT', call_id: 'none' });
    surface.send({ type: 'ATTACH_SESSION', session_id: 5 });
    await agent.run('still here');
    await surface.next('TURN_COMPLETE');
    await eventually(
      async () => (await gateway.counts()).get('sbp_surface_ignored_frames_total') === 1,
    );
  });
});
