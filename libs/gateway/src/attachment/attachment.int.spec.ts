import { describe, expect, it, vi } from 'vitest';
import { LogOverloaded } from '#libs/event-log';
import { SbpError } from '#libs/protocol';
import type { TestBackend } from '#libs/testing';
import { attach, eventually, hold, sdk, visit, useScene } from '../testing/scene.js';
import { TestAgent } from '../testing/test-agent.js';
import { TestGateway } from '../testing/test-gateway.js';

const scene = useScene();

describe('who is attached', () => {
  it('closes the surface that another one replaces, on whichever gateway, with 4009', async () => {
    const [one, two] = [await scene.startGateway(), await scene.startGateway()];
    const agent = await TestAgent.withTurns(scene.backend);
    const first = await attach(one, agent, sdk);
    await first.next('SESSION_ATTACHED');
    const second = await attach(one, agent, sdk);
    await second.next('SESSION_ATTACHED');
    expect(await first.closed).toEqual({ code: 4009, reason: 'REPLACED' });
    const third = await attach(two, agent, sdk);
    await third.next('SESSION_ATTACHED');
    expect(await second.closed).toMatchObject({ code: 4009 });
    expect(await agent.presence()).toBe('attached');
    expect(await agent.detachReasons()).toEqual([]);
  });

  it('sends surfaces that fight for a session away for a while', async () => {
    const gateway = await scene.startGateway();
    const agent = await TestAgent.withTurns(scene.backend);
    for (let takeover = 0; takeover <= 5; takeover++) {
      await (await attach(gateway, agent, sdk)).next('SESSION_ATTACHED');
    }
    expect(await (await attach(gateway, agent, sdk)).closed).toMatchObject({ code: 1013 });
  });

  it('tells a surface to return at once when its gateway was believed dead', async () => {
    const gateway = await scene.startGateway();
    const agent = await TestAgent.withTurns(scene.backend);
    const surface = await attach(gateway, agent, sdk);
    await surface.next('SESSION_ATTACHED');
    const [attached] = await agent.surfaceEvents();
    if (attached?.type !== 'surface.attached') throw new Error('nothing is attached');
    await agent.loseGateway(attached.data.attach_id);
    await gateway.sweep();
    expect(await surface.closed).toMatchObject({ code: 1012 });
    expect(await agent.detachReasons()).toEqual(['gateway_lost']);
  });

  it('attaches anew on one socket: new context, drain, and text from its start', async () => {
    const gateway = await scene.startGateway();
    const agent = await TestAgent.withTurns(scene.backend);
    await visit(gateway, agent);
    await agent.run('unread');
    await agent.start();
    const surface = await attach(gateway, agent, sdk);
    await surface.next('PING');
    const earlier = await agent.asked();
    agent.say(earlier, 0, 'Live');
    const { chunk_id } = await surface.next('TURN_CHUNK');
    surface.attach(agent.sessionId, await agent.token(), { ...sdk, device_type: 'watch' });
    expect(await surface.next('SESSION_ATTACHED')).toMatchObject({
      device_type: 'watch',
      queued_turns: 1,
    });
    expect(await surface.next('TETHER_TURN')).toMatchObject({ turn_index: 0, content: 'unread' });
    agent.say(await agent.asked(({ attach_id }) => attach_id !== earlier.attach_id), 0, 'Live');
    expect(await surface.next('TURN_CHUNK')).toMatchObject({ chunk_id, offset: 0, delta: 'Live' });
    // The PING of the first drain is still outstanding: its PONG speaks for what was written before
    // it.
    surface.send({ type: 'PONG' });
    await eventually(async () => (await agent.cursor()) === 1);
  });

  it('lets a second attach with a bad token end the socket', async () => {
    const gateway = await scene.startGateway();
    const agent = await TestAgent.withTurns(scene.backend);
    const surface = await attach(gateway, agent, sdk);
    await surface.next('SESSION_ATTACHED');
    surface.attach(agent.sessionId, 'forged');
    await surface.next('FORBIDDEN');
    expect(await surface.closed).toMatchObject({ code: 4003 });
    await eventually(async () => (await agent.presence()) === 'detached');
  });
});

describe('how a surface leaves', () => {
  it('writes nothing after a DETACH and closes with 1000 when the log knows', async () => {
    const gateway = await scene.startGateway();
    const agent = await TestAgent.withTurns(scene.backend);
    const surface = await attach(gateway, agent, sdk);
    await surface.next('SESSION_ATTACHED');
    await agent.start();
    const watch = await agent.asked();
    const [held, go] = hold(scene.backend, 'surface.detached');
    surface.send({ type: 'DETACH' });
    await held;
    agent.say(watch, 0, 'too late');
    // In order after the live text.
    await scene.backend.mailbox.send(gateway.address, {
      type: 'poke',
      session_id: agent.sessionId,
    });
    go();
    expect(await surface.closed).toMatchObject({ code: 1000 });
    expect(surface.of('TURN_CHUNK')).toEqual([]);
    expect(await agent.detachReasons()).toEqual(['detach']);
  });

  it('says in the log that a socket was lost', async () => {
    const gateway = await scene.startGateway();
    const agent = await TestAgent.withTurns(scene.backend);
    const surface = await attach(gateway, agent, sdk);
    await surface.next('SESSION_ATTACHED');
    surface.socket.terminate();
    await eventually(async () => (await agent.detachReasons()).join() === 'closed');
  });

  // [SBP-WS-07]
  it('closes a client that gives no sign of life after a PING with 4008', async () => {
    const gateway = await scene.startGateway({ pingEvery: 20, pongDue: 20 });
    const agent = await TestAgent.withTurns(scene.backend);
    const surface = await gateway.connect(agent.sessionId, { autoPong: false });
    surface.attach(agent.sessionId, await agent.token(), sdk);
    expect(await surface.closed).toMatchObject({ code: 4008 });
    expect(surface.of('PING')).toHaveLength(1);
    await eventually(async () => (await agent.detachReasons()).join() === 'unresponsive');
  });

  it('keeps a client whose library alone answers, with one PING outstanding', async () => {
    const gateway = await scene.startGateway({ pingEvery: 20, pongDue: 500 });
    const agent = await TestAgent.withTurns(scene.backend);
    const surface = await attach(gateway, agent, sdk);
    await surface.until(({ pings }) => pings >= 5);
    expect(surface.of('PING')).toHaveLength(1);
  });

  // [SBP-WS-07]
  it('closes a client that does not read with 4008, and it finds its turns again', async () => {
    const gateway = await scene.startGateway({ write: 100, slowestReader: Number.MAX_VALUE });
    const agent = await TestAgent.withTurns(scene.backend);
    await visit(gateway, agent);
    const text = 'x'.repeat(4 * 1024 * 1024);
    for (let turn = 0; turn < 5; turn++) await agent.run(text);
    const surface = await attach(gateway, agent, sdk);
    await surface.next('SESSION_ATTACHED');
    surface.socket.pause();
    await eventually(async () => (await agent.detachReasons()).includes('unresponsive'));
    surface.socket.resume();
    expect(await surface.closed).toMatchObject({ code: 4008 });
    const back = await attach(gateway, agent, sdk);
    expect(await back.next('SESSION_ATTACHED')).toMatchObject({ queued_turns: 5 });
  });

  // [SBP-WS-08]
  it('tells all surfaces to return at once when it shuts down', async () => {
    const gateway = await TestGateway.start(scene.backend);
    const agent = await TestAgent.withTurns(scene.backend);
    const [surface, silent] = [
      await attach(gateway, agent, sdk),
      await gateway.connect(agent.sessionId),
    ];
    await surface.next('SESSION_ATTACHED');
    await gateway.stop();
    expect(await surface.closed).toMatchObject({ code: 1012 });
    expect(await silent.closed).toMatchObject({ code: 1012 });
    expect(await agent.detachReasons()).toEqual(['shutdown']);
  });
});

describe('when the log is in trouble', () => {
  it('sends a surface away for a while if an attach finds the log overloaded, and says nothing of it', async () => {
    const gateway = await scene.startGateway();
    const agent = await TestAgent.withTurns(scene.backend);
    scene.backend.log.obstacle = () => Promise.reject(new LogOverloaded('full'));
    const surface = await attach(gateway, agent, sdk);
    expect(await surface.closed).toMatchObject({ code: 1013 });
    expect(surface.frames).toEqual([]);
    expect(await agent.surfaceEvents()).toEqual([]);
  });

  // [SBP-WS-10]
  it('takes an attach back that the log does not acknowledge in time', async () => {
    const gateway = await scene.startGateway({ attach: 50 });
    const agent = await TestAgent.withTurns(scene.backend);
    const [, go] = hold(scene.backend, 'surface.attached');
    const surface = await attach(gateway, agent, sdk);
    expect(await surface.closed).toMatchObject({ code: 1013 });
    go();
    await eventually(async () => (await agent.detachReasons()).join() === 'refused');
  });

  it('says that a surface left which was gone before its attach was acknowledged', async () => {
    const gateway = await scene.startGateway();
    const agent = await TestAgent.withTurns(scene.backend);
    const [held, go] = hold(scene.backend, 'surface.attached');
    const surface = await attach(gateway, agent, sdk);
    await held;
    surface.socket.terminate();
    await surface.closed;
    go();
    await eventually(async () => (await agent.detachReasons()).join() === 'closed');
  });

  it('goes on trying to say that a surface left', async () => {
    const gateway = await scene.startGateway();
    const agent = await TestAgent.withTurns(scene.backend);
    const surface = await attach(gateway, agent, sdk);
    await surface.next('SESSION_ATTACHED');
    let refusals = 3;
    scene.backend.log.obstacle = () =>
      refusals-- > 0 ? Promise.reject(new LogOverloaded('full')) : Promise.resolve();
    surface.send({ type: 'DETACH' });
    expect(await surface.closed).toMatchObject({ code: 1000 });
    expect(await agent.detachReasons()).toEqual(['detach']);
  });
});

const never = new Promise<never>(() => undefined);
const unavailable = new SbpError('SBP_UPSTREAM_UNAVAILABLE', 'The database does not answer.');

/** The database and the log as an attach meets them, each answering as it is told. */
const PARTS: readonly [string, (backend: TestBackend, answer: () => Promise<never>) => void][] = [
  [
    'the claim',
    ({ freshness }, answer) => vi.spyOn(freshness, 'presence').mockImplementation(answer),
  ],
  ['the state', ({ sessions }, answer) => vi.spyOn(sessions, 'state').mockImplementation(answer)],
  ['the log', ({ log }, answer) => (log.obstacle = answer)],
  [
    'the fold',
    ({ freshness }, answer) => vi.spyOn(freshness, 'reached').mockImplementation(answer),
  ],
  ['the turns', ({ surfaces }, answer) => vi.spyOn(surfaces, 'view').mockImplementation(answer)],
];

describe('when the storage is in trouble', () => {
  // [SBP-WS-10]
  it.each(PARTS)('an attach ends with 1013 where %s does not answer', async (_, obstruct) => {
    const gateway = await scene.startGateway({ attach: 50, detach: 50 });
    const agent = await TestAgent.withTurns(scene.backend);
    obstruct(scene.backend, () => never);
    const surface = await attach(gateway, agent, sdk);
    expect(await surface.closed).toMatchObject({ code: 1013 });
    expect(surface.frames).toEqual([]);
  });

  // [SBP-WS-10]
  it.each(PARTS)('an attach ends with 1013 where %s fails', async (_, obstruct) => {
    const gateway = await scene.startGateway();
    const agent = await TestAgent.withTurns(scene.backend);
    obstruct(scene.backend, () => Promise.reject(unavailable));
    const surface = await attach(gateway, agent, sdk);
    expect(await surface.closed).toMatchObject({ code: 1013 });
    expect(surface.frames).toEqual([]);
  });

  it('an attach that was given up is not appended later', async () => {
    const gateway = await scene.startGateway({ attach: 50 });
    const agent = await TestAgent.withTurns(scene.backend);
    const { sessions } = scene.backend;
    const state = await sessions.state(agent.sessionId);
    const read = Promise.withResolvers<typeof state>();
    vi.spyOn(sessions, 'state').mockImplementation(() => read.promise);
    const surface = await attach(gateway, agent, sdk);
    expect(await surface.closed).toMatchObject({ code: 1013 });
    read.resolve(state);
    await gateway.stop();
    expect(await agent.surfaceEvents()).toEqual([]);
  });

  it('a drain ends with 1013 where the next page does not come', async () => {
    const gateway = await scene.startGateway({ read: 50 });
    const agent = await TestAgent.withTurns(scene.backend);
    await visit(gateway, agent);
    for (let turn = 0; turn < 101; turn++) await agent.run(`turn ${turn}`);
    vi.spyOn(scene.backend.surfaces, 'owed').mockImplementation(() => never);
    const surface = await attach(gateway, agent, sdk);
    expect(await surface.closed).toMatchObject({ code: 1013 });
    expect(surface.of('TETHER_TURN')).toHaveLength(100);
  });

  it('live output goes on after a read that did not come', async () => {
    const gateway = await scene.startGateway({ read: 50 });
    const agent = await TestAgent.withTurns(scene.backend);
    const surface = await attach(gateway, agent, sdk);
    await surface.next('SESSION_ATTACHED');
    const hung = vi.spyOn(scene.backend.surfaces, 'view').mockImplementation(() => never);
    const turn = await agent.start();
    await vi.waitUntil(() => hung.mock.calls.length > 0);
    hung.mockRestore();
    await agent.complete(turn, 'back again');
    await eventually(async () => {
      await gateway.sweep();
      return surface.of('TURN_COMPLETE').length === 1;
    });
  });
});
