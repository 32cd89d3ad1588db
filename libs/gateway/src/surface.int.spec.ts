import { once } from 'node:events';
import { request } from 'node:http';
import { LogOverloaded } from '#libs/event-log';
import type { LogEvent } from '#libs/protocol';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { SurfaceTimings } from './surface-timings.js';
import { TestAgent } from './testing/test-agent.js';
import { TestBackend } from './testing/test-backend.js';
import { TestGateway } from './testing/test-gateway.js';
import type { TestSurface } from './testing/test-surface.js';

let backend: TestBackend;
const gateways: TestGateway[] = [];
/** Its library answers WebSocket pings, as that of wscat does; a test that needs nobody to answer says so. */
const sdk = { acknowledges: true };

beforeEach(async () => {
  backend = await TestBackend.open();
});

afterEach(async () => {
  backend.log.obstacle = () => Promise.resolve();
  await Promise.all(gateways.splice(0).map((gateway) => gateway.stop()));
  await backend.close();
});

async function startGateway(timings?: Partial<SurfaceTimings>): Promise<TestGateway> {
  const gateway = await TestGateway.start(backend, timings);
  gateways.push(gateway);
  return gateway;
}

async function attach(gateway: TestGateway, agent: TestAgent, context?: unknown): Promise<TestSurface> {
  const surface = await gateway.connect(agent.sessionId);
  surface.attach(agent.sessionId, await agent.token(), context);
  return surface;
}

/** Attaches, waits for the empty drain, and leaves, so that from now on every turn is owed. */
async function visit(gateway: TestGateway, agent: TestAgent): Promise<void> {
  const surface = await attach(gateway, agent);
  await surface.next('SESSION_ATTACHED');
  surface.send({ type: 'DETACH' });
  await surface.closed;
}

async function cursor(agent: TestAgent): Promise<number> {
  const state = await backend.sessions.state(agent.sessionId);
  return state.phase === 'open' ? state.cursor : -1;
}

async function presence(agent: TestAgent): Promise<string> {
  const state = await backend.sessions.state(agent.sessionId);
  return state.phase === 'open' ? state.surface.type : 'unopened';
}

async function eventually(condition: () => Promise<boolean>): Promise<void> {
  while (!(await condition())) await new Promise((resolve) => setTimeout(resolve, 10));
}

async function surfaceEvents(agent: TestAgent): Promise<readonly LogEvent[]> {
  return (await backend.events(agent.sessionId)).filter((event) => event.type.startsWith('surface.'));
}

async function detachReasons(agent: TestAgent): Promise<readonly string[]> {
  const events = await surfaceEvents(agent);
  return events.flatMap((event) => (event.type === 'surface.detached' ? [event.data.reason] : []));
}

describe('attach and drain', () => {
  it('answers with what the surface said of itself and a token that works', async () => {
    const gateway = await startGateway();
    const agent = await TestAgent.withTurns(backend);
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
    await expect(backend.tokens.verify(session_token)).resolves.toMatchObject({ sessionId: agent.sessionId });
    expect(await presence(agent)).toBe('attached');
  });

  it('drains what was made while no surface was there, in order, before anything else, and asks whether it was read', async () => {
    const gateway = await startGateway();
    const agent = await TestAgent.withTurns(backend, 'told to its caller');
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
    const gateway = await startGateway();
    const agent = await TestAgent.withTurns(backend);
    await visit(gateway, agent);
    const texts = Array.from({ length: 230 }, (_, index) => `turn ${index}`);
    for (const text of texts) await agent.run(text);
    const surface = await attach(gateway, agent, sdk);
    expect(await surface.next('SESSION_ATTACHED')).toMatchObject({ queued_turns: 230 });
    await surface.next('PING');
    expect(surface.of('TETHER_TURN').map(({ content }) => content)).toEqual(texts);
  });

  it('drains again what was not acknowledged, and never again what was', async () => {
    const gateway = await startGateway();
    const agent = await TestAgent.withTurns(backend);
    await visit(gateway, agent);
    await agent.run('one');
    const deaf = await attach(gateway, agent, sdk);
    await deaf.next('PING');
    deaf.socket.terminate();
    const attentive = await attach(gateway, agent, sdk);
    expect(await attentive.next('SESSION_ATTACHED')).toMatchObject({ queued_turns: 1 });
    await attentive.next('PING');
    attentive.send({ type: 'PONG' });
    await eventually(async () => (await cursor(agent)) === 1);
    attentive.socket.terminate();
    await agent.run('two');
    const third = await attach(gateway, agent, sdk);
    expect(await third.next('SESSION_ATTACHED')).toMatchObject({ queued_turns: 1 });
    expect(await third.next('TETHER_TURN')).toMatchObject({ turn_index: 0, content: 'two', seq: 2 });
  });

  it('ignores a PONG that nothing asked for', async () => {
    const gateway = await startGateway();
    const agent = await TestAgent.withTurns(backend);
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
    expect(await cursor(agent)).toBe(1);
    surface.send({ type: 'PONG' });
    await eventually(async () => (await cursor(agent)) === 2);
  });

  it('appends an acknowledgement only when the cursor moves', async () => {
    const gateway = await startGateway({ pingEvery: 20 });
    const agent = await TestAgent.withTurns(backend);
    await visit(gateway, agent);
    await agent.run('one');
    const surface = await attach(gateway, agent, sdk);
    for (let answered = 0; answered < 5; answered++) {
      await surface.next('PING');
      surface.send({ type: 'PONG' });
    }
    surface.send({ type: 'DETACH' });
    await surface.closed;
    const acknowledged = (await surfaceEvents(agent)).filter(({ type }) => type === 'surface.acknowledged');
    expect(acknowledged).toHaveLength(1);
  });
});

describe('a client that answers only by its library', () => {
  async function owedTurn(timings: Partial<SurfaceTimings>): Promise<[TestGateway, TestAgent]> {
    const gateway = await startGateway(timings);
    const agent = await TestAgent.withTurns(backend);
    await visit(gateway, agent);
    await agent.run('one');
    return [gateway, agent];
  }

  it('acknowledges by staying for a while', async () => {
    const [gateway, agent] = await owedTurn({ stay: 50 });
    const surface = await attach(gateway, agent);
    await eventually(async () => (await cursor(agent)) === 1);
    expect(surface.of('PING')).toHaveLength(1);
  });

  it.each([1000, 1001])('acknowledges by closing with %i', async (code) => {
    const [gateway, agent] = await owedTurn({});
    const surface = await attach(gateway, agent);
    await surface.until(({ pings }) => pings > 0);
    surface.socket.close(code);
    await eventually(async () => (await presence(agent)) === 'detached');
    expect(await cursor(agent)).toBe(1);
    const types = (await surfaceEvents(agent)).map(({ type }) => type);
    expect(types.slice(-2)).toEqual(['surface.acknowledged', 'surface.detached']);
  });

  it('acknowledges by DETACH', async () => {
    const [gateway, agent] = await owedTurn({});
    const surface = await attach(gateway, agent);
    await surface.until(({ pings }) => pings > 0);
    surface.send({ type: 'DETACH' });
    expect(await surface.closed).toMatchObject({ code: 1000 });
    expect(await cursor(agent)).toBe(1);
  });

  it.each([
    ['vanishes', (surface: TestSurface) => surface.socket.terminate()],
    ['closes without a code', (surface: TestSurface) => surface.socket.close()],
  ])('acknowledges nothing when it %s', async (_, leave) => {
    const [gateway, agent] = await owedTurn({});
    const surface = await attach(gateway, agent);
    await surface.until(({ pings }) => pings > 0);
    leave(surface);
    await eventually(async () => (await presence(agent)) === 'detached');
    expect(await cursor(agent)).toBe(0);
  });

  it('acknowledges nothing if it said that it does so itself', async () => {
    const [gateway, agent] = await owedTurn({ stay: 10 });
    const surface = await attach(gateway, agent, sdk);
    await surface.until(({ pings }) => pings > 0);
    surface.socket.close(1000);
    await eventually(async () => (await presence(agent)) === 'detached');
    expect(await cursor(agent)).toBe(0);
  });
});

describe('live output', () => {
  it('asks the runner, passes its text on and ends with what was committed', async () => {
    const gateway = await startGateway();
    const agent = await TestAgent.withTurns(backend);
    const surface = await attach(gateway, agent, sdk);
    await surface.next('SESSION_ATTACHED');
    const turn = await agent.start();
    const watch = await agent.asked();
    expect(watch).toMatchObject({ turn_id: turn.turnId, epoch: turn.epoch, offset: 0, reply_to: gateway.address });
    agent.say(watch, 0, 'Hello 👋');
    const first = await surface.next('TURN_CHUNK');
    expect(first).toMatchObject({ delta: 'Hello 👋', offset: 0, turn_id: turn.turnId });
    // An overlap of two code units, as after a repeated message.
    agent.say(watch, 6, '👋, wor');
    expect(await surface.next('TURN_CHUNK')).toMatchObject({ delta: ', wor', offset: 7, chunk_id: first.chunk_id });
    await agent.complete(turn, 'Hello 👋, world');
    const end = await surface.next('TURN_COMPLETE');
    expect(end).toMatchObject({ chunk_id: first.chunk_id, turn_id: turn.turnId, seq: 1, status: 'completed' });
    expect(surface.text(end.chunk_id)).toBe('Hello 👋, world');
    await surface.next('PING');
    surface.send({ type: 'PONG' });
    await eventually(async () => (await cursor(agent)) === 1);
  });

  it('joins a turn in the middle with the text so far, on another gateway, and reads on', async () => {
    const [one, two] = [await startGateway(), await startGateway()];
    const agent = await TestAgent.withTurns(backend);
    const phone = await attach(one, agent, sdk);
    await phone.next('SESSION_ATTACHED');
    const turn = await agent.start();
    agent.say(await agent.asked(), 0, 'Once upon ');
    const { chunk_id } = await phone.next('TURN_CHUNK');
    phone.socket.terminate();
    const desk = await attach(two, agent, sdk);
    const watch = await agent.asked((each) => each.reply_to.incarnation === two.address.incarnation);
    expect(watch.offset).toBe(0);
    agent.say(watch, 0, 'Once upon a time');
    expect(await desk.next('TURN_CHUNK')).toMatchObject({ chunk_id, offset: 0, delta: 'Once upon a time' });
    agent.say(watch, 16, ' there');
    expect(await desk.next('TURN_CHUNK')).toMatchObject({ chunk_id, offset: 16 });
    await agent.complete(turn, 'Once upon a time there was');
    await desk.next('TURN_COMPLETE');
    expect(desk.text(chunk_id)).toBe('Once upon a time there was');
    expect(desk.of('TETHER_TURN')).toEqual([]);
  });

  it('gives a surface that dropped in the middle of a turn the whole of it when it comes back after its end', async () => {
    const gateway = await startGateway();
    const agent = await TestAgent.withTurns(backend);
    const surface = await attach(gateway, agent, sdk);
    await surface.next('SESSION_ATTACHED');
    const turn = await agent.start();
    agent.say(await agent.asked(), 0, 'Half a');
    await surface.next('TURN_CHUNK');
    surface.socket.terminate();
    await agent.complete(turn, 'Half a sentence');
    const back = await attach(gateway, agent, sdk);
    expect(await back.next('TETHER_TURN')).toMatchObject({ turn_id: turn.turnId, content: 'Half a sentence' });
    expect(back.of('TURN_CHUNK')).toEqual([]);
  });

  it('asks again where text is missing, and never writes beyond a gap', async () => {
    const gateway = await startGateway();
    const agent = await TestAgent.withTurns(backend);
    const surface = await attach(gateway, agent, sdk);
    await surface.next('SESSION_ATTACHED');
    await agent.start();
    const first = await agent.asked();
    agent.say(first, 0, 'abc');
    await surface.next('TURN_CHUNK');
    agent.say(first, 6, 'ghi');
    const again = await agent.asked(({ offset }) => offset === 3);
    agent.say(again, 3, 'defghi');
    expect(await surface.next('TURN_CHUNK')).toMatchObject({ offset: 3, delta: 'defghi' });
  });

  it('starts an attempt of another runner anew, names what it replaces, and drops what the dead one still says', async () => {
    const gateway = await startGateway();
    const agent = await TestAgent.withTurns(backend);
    const surface = await attach(gateway, agent, sdk);
    await surface.next('SESSION_ATTACHED');
    const turn = await agent.start();
    const dead = await agent.asked();
    agent.say(dead, 0, 'Roses are');
    const { chunk_id: abandoned } = await surface.next('TURN_CHUNK');
    const adopted = await agent.adopt(turn);
    const watch = await agent.asked(({ epoch }) => epoch === adopted.epoch);
    expect(watch.offset).toBe(0);
    agent.say(dead, 9, ' red');
    agent.say(watch, 0, 'Violets');
    const chunk = await surface.next('TURN_CHUNK');
    expect(chunk).toMatchObject({ turn_id: turn.turnId, delta: 'Violets', offset: 0, replaces: abandoned });
    await agent.complete(adopted, 'Violets are blue');
    const end = await surface.next('TURN_COMPLETE');
    expect(end.chunk_id).toBe(chunk.chunk_id);
    expect(surface.text(end.chunk_id)).toBe('Violets are blue');
    expect(surface.of('TURN_COMPLETE')).toHaveLength(1);
  });

  it('sends the whole committed text as a new attempt where what was shown is not its beginning', async () => {
    const gateway = await startGateway();
    const agent = await TestAgent.withTurns(backend);
    const surface = await attach(gateway, agent, sdk);
    await surface.next('SESSION_ATTACHED');
    const turn = await agent.start();
    agent.say(await agent.asked(), 0, 'Draft');
    const { chunk_id: draft } = await surface.next('TURN_CHUNK');
    await agent.complete(turn, 'Final');
    expect(await surface.next('TURN_CHUNK')).toMatchObject({ delta: 'Final', offset: 0, replaces: draft });
    const end = await surface.next('TURN_COMPLETE');
    expect(surface.text(end.chunk_id)).toBe('Final');
  });

  it('ends a failed turn with its error', async () => {
    const gateway = await startGateway();
    const agent = await TestAgent.withTurns(backend);
    const surface = await attach(gateway, agent, sdk);
    await surface.next('SESSION_ATTACHED');
    const turn = await agent.start();
    agent.say(await agent.asked(), 0, 'I was ab');
    const { chunk_id } = await surface.next('TURN_CHUNK');
    await agent.fail(turn);
    expect(await surface.next('TURN_COMPLETE')).toMatchObject({
      chunk_id,
      status: 'failed',
      error: { code: 'SBP_UPSTREAM_UNAVAILABLE' },
    });
  });

  it('sends turns that it saw nothing of while they ran, whole and in order', async () => {
    const gateway = await startGateway();
    const agent = await TestAgent.withTurns(backend);
    const surface = await attach(gateway, agent, sdk);
    await surface.next('SESSION_ATTACHED');
    await agent.run('first', 'connected');
    await agent.run('');
    await agent.run('third');
    await surface.until(() => surface.of('TURN_COMPLETE').length === 3);
    const ends = surface.of('TURN_COMPLETE');
    expect(ends.map(({ seq }) => seq)).toEqual([1, 2, 3]);
    expect(ends.map(({ chunk_id }) => surface.text(chunk_id))).toEqual(['first', '', 'third']);
  });

  it('finds by its sweep what lost pokes left behind', async () => {
    const gateway = await startGateway();
    const agent = await TestAgent.withTurns(backend);
    const surface = await attach(gateway, agent, sdk);
    await surface.next('SESSION_ATTACHED');
    backend.pokes = false;
    await agent.run('unheard');
    await gateway.sweep();
    const end = await surface.next('TURN_COMPLETE');
    expect(surface.text(end.chunk_id)).toBe('unheard');
    await agent.start();
    await gateway.sweep();
    await agent.asked();
    // The runner has not answered: the next sweep asks again.
    await gateway.sweep();
    await agent.asked();
  });
});

describe('who is attached', () => {
  it('closes the surface that another one replaces, on whichever gateway, with 4009', async () => {
    const [one, two] = [await startGateway(), await startGateway()];
    const agent = await TestAgent.withTurns(backend);
    const first = await attach(one, agent, sdk);
    await first.next('SESSION_ATTACHED');
    const second = await attach(one, agent, sdk);
    await second.next('SESSION_ATTACHED');
    expect(await first.closed).toEqual({ code: 4009, reason: 'REPLACED' });
    const third = await attach(two, agent, sdk);
    await third.next('SESSION_ATTACHED');
    expect(await second.closed).toMatchObject({ code: 4009 });
    expect(await presence(agent)).toBe('attached');
    expect(await detachReasons(agent)).toEqual([]);
  });

  it('sends surfaces that fight for a session away for a while', async () => {
    const gateway = await startGateway();
    const agent = await TestAgent.withTurns(backend);
    for (let takeover = 0; takeover <= 5; takeover++) {
      await (await attach(gateway, agent, sdk)).next('SESSION_ATTACHED');
    }
    expect(await (await attach(gateway, agent, sdk)).closed).toMatchObject({ code: 1013 });
  });

  it('tells a surface to return at once when its gateway was believed dead', async () => {
    const gateway = await startGateway();
    const agent = await TestAgent.withTurns(backend);
    const surface = await attach(gateway, agent, sdk);
    await surface.next('SESSION_ATTACHED');
    const [attached] = await surfaceEvents(agent);
    if (attached?.type !== 'surface.attached') throw new Error('nothing is attached');
    await agent.loseGateway(attached.data.attach_id);
    await gateway.sweep();
    expect(await surface.closed).toMatchObject({ code: 1012 });
    expect(await detachReasons(agent)).toEqual(['gateway_lost']);
  });

  it('attaches anew on one socket: new context, drain, and text from its start', async () => {
    const gateway = await startGateway();
    const agent = await TestAgent.withTurns(backend);
    await visit(gateway, agent);
    await agent.run('unread');
    await agent.start();
    const surface = await attach(gateway, agent, sdk);
    await surface.next('PING');
    const earlier = await agent.asked();
    agent.say(earlier, 0, 'Live');
    const { chunk_id } = await surface.next('TURN_CHUNK');
    surface.attach(agent.sessionId, await agent.token(), { ...sdk, device_type: 'watch' });
    expect(await surface.next('SESSION_ATTACHED')).toMatchObject({ device_type: 'watch', queued_turns: 1 });
    expect(await surface.next('TETHER_TURN')).toMatchObject({ turn_index: 0, content: 'unread' });
    agent.say(await agent.asked(({ attach_id }) => attach_id !== earlier.attach_id), 0, 'Live');
    expect(await surface.next('TURN_CHUNK')).toMatchObject({ chunk_id, offset: 0, delta: 'Live' });
    // The PING of the first drain is still outstanding: its PONG speaks for what was written before it.
    surface.send({ type: 'PONG' });
    await eventually(async () => (await cursor(agent)) === 1);
  });

  it('lets a second attach with a bad token end the socket', async () => {
    const gateway = await startGateway();
    const agent = await TestAgent.withTurns(backend);
    const surface = await attach(gateway, agent, sdk);
    await surface.next('SESSION_ATTACHED');
    surface.attach(agent.sessionId, 'forged');
    await surface.next('FORBIDDEN');
    expect(await surface.closed).toMatchObject({ code: 4003 });
    await eventually(async () => (await presence(agent)) === 'detached');
  });
});

describe('how a surface leaves', () => {
  it('writes nothing after a DETACH and closes with 1000 when the log knows', async () => {
    const gateway = await startGateway();
    const agent = await TestAgent.withTurns(backend);
    const surface = await attach(gateway, agent, sdk);
    await surface.next('SESSION_ATTACHED');
    await agent.start();
    const watch = await agent.asked();
    const [held, go] = hold('surface.detached');
    surface.send({ type: 'DETACH' });
    await held;
    agent.say(watch, 0, 'too late');
    // In order after the live text.
    await backend.mailbox.send(gateway.address, { type: 'poke', session_id: agent.sessionId });
    go();
    expect(await surface.closed).toMatchObject({ code: 1000 });
    expect(surface.of('TURN_CHUNK')).toEqual([]);
    expect(await detachReasons(agent)).toEqual(['detach']);
  });

  it('says in the log that a socket was lost', async () => {
    const gateway = await startGateway();
    const agent = await TestAgent.withTurns(backend);
    const surface = await attach(gateway, agent, sdk);
    await surface.next('SESSION_ATTACHED');
    surface.socket.terminate();
    await eventually(async () => (await detachReasons(agent)).join() === 'closed');
  });

  it('closes a client that gives no sign of life after a PING with 4008', async () => {
    const gateway = await startGateway({ pingEvery: 20, pongDue: 20 });
    const agent = await TestAgent.withTurns(backend);
    const surface = await gateway.connect(agent.sessionId, { autoPong: false });
    surface.attach(agent.sessionId, await agent.token(), sdk);
    expect(await surface.closed).toMatchObject({ code: 4008 });
    expect(surface.of('PING')).toHaveLength(1);
    await eventually(async () => (await detachReasons(agent)).join() === 'unresponsive');
  });

  it('keeps a client whose library alone answers, with one PING outstanding', async () => {
    const gateway = await startGateway({ pingEvery: 20, pongDue: 500 });
    const agent = await TestAgent.withTurns(backend);
    const surface = await attach(gateway, agent, sdk);
    await surface.until(({ pings }) => pings >= 5);
    expect(surface.of('PING')).toHaveLength(1);
  });

  it('closes a client that does not read with 4008, and it finds its turns again', async () => {
    const gateway = await startGateway({ write: 100, slowestReader: Number.MAX_VALUE });
    const agent = await TestAgent.withTurns(backend);
    await visit(gateway, agent);
    const text = 'x'.repeat(4 * 1024 * 1024);
    for (let turn = 0; turn < 5; turn++) await agent.run(text);
    const surface = await attach(gateway, agent, sdk);
    await surface.next('SESSION_ATTACHED');
    surface.socket.pause();
    await eventually(async () => (await detachReasons(agent)).includes('unresponsive'));
    surface.socket.resume();
    expect(await surface.closed).toMatchObject({ code: 4008 });
    const back = await attach(gateway, agent, sdk);
    expect(await back.next('SESSION_ATTACHED')).toMatchObject({ queued_turns: 5 });
  });

  it('tells all surfaces to return at once when it shuts down', async () => {
    const gateway = await TestGateway.start(backend);
    const agent = await TestAgent.withTurns(backend);
    const [surface, silent] = [await attach(gateway, agent, sdk), await gateway.connect(agent.sessionId)];
    await surface.next('SESSION_ATTACHED');
    await gateway.stop();
    expect(await surface.closed).toMatchObject({ code: 1012 });
    expect(await silent.closed).toMatchObject({ code: 1012 });
    expect(await detachReasons(agent)).toEqual(['shutdown']);
  });
});

/** Holds back the appends of a type: `held` resolves when the first is there, `go` lets them pass. */
function hold(type: LogEvent['type']): [held: Promise<undefined>, go: () => void] {
  const held = Promise.withResolvers<undefined>();
  const released = Promise.withResolvers<undefined>();
  backend.log.obstacle = async ([event]) => {
    if (event.type !== type) return;
    held.resolve(undefined);
    await released.promise;
  };
  return [held.promise, () => released.resolve(undefined)];
}

describe('when the log is in trouble', () => {
  it('sends a surface away for a while if an attach finds the log overloaded, and says nothing of it', async () => {
    const gateway = await startGateway();
    const agent = await TestAgent.withTurns(backend);
    backend.log.obstacle = () => Promise.reject(new LogOverloaded('full'));
    const surface = await attach(gateway, agent, sdk);
    expect(await surface.closed).toMatchObject({ code: 1013 });
    expect(surface.frames).toEqual([]);
    expect(await surfaceEvents(agent)).toEqual([]);
  });

  it('takes an attach back that the log does not acknowledge in time', async () => {
    const gateway = await startGateway({ attach: 50 });
    const agent = await TestAgent.withTurns(backend);
    const [, go] = hold('surface.attached');
    const surface = await attach(gateway, agent, sdk);
    expect(await surface.closed).toMatchObject({ code: 1013 });
    go();
    await eventually(async () => (await detachReasons(agent)).join() === 'refused');
  });

  it('says that a surface left which was gone before its attach was acknowledged', async () => {
    const gateway = await startGateway();
    const agent = await TestAgent.withTurns(backend);
    const [held, go] = hold('surface.attached');
    const surface = await attach(gateway, agent, sdk);
    await held;
    surface.socket.terminate();
    await surface.closed;
    go();
    await eventually(async () => (await detachReasons(agent)).join() === 'closed');
  });

  it('goes on trying to say that a surface left', async () => {
    const gateway = await startGateway({ retry: 10 });
    const agent = await TestAgent.withTurns(backend);
    const surface = await attach(gateway, agent, sdk);
    await surface.next('SESSION_ATTACHED');
    let refusals = 3;
    backend.log.obstacle = () => (refusals-- > 0 ? Promise.reject(new LogOverloaded('full')) : Promise.resolve());
    surface.send({ type: 'DETACH' });
    expect(await surface.closed).toMatchObject({ code: 1000 });
    expect(await detachReasons(agent)).toEqual(['detach']);
  });
});

describe('frames of a client', () => {
  it.each([
    ['binary', (surface: TestSurface) => surface.socket.send(Buffer.from('{}'))],
    ['no JSON', (surface: TestSurface) => surface.socket.send('hello')],
    ['no object', (surface: TestSurface) => surface.send(['PONG'])],
  ])('that are %s end the connection with 1003, first or later', async (_, send) => {
    const gateway = await startGateway();
    const agent = await TestAgent.withTurns(backend);
    const first = await gateway.connect(agent.sessionId);
    send(first);
    await first.next('PROTOCOL_ERROR');
    expect(await first.closed).toMatchObject({ code: 1003 });
    expect(await surfaceEvents(agent)).toEqual([]);
    const later = await attach(gateway, agent, sdk);
    await later.next('SESSION_ATTACHED');
    send(later);
    await later.next('PROTOCOL_ERROR');
    expect(await later.closed).toMatchObject({ code: 1003 });
    await eventually(async () => (await detachReasons(agent)).join() === 'refused');
  });

  it('must begin with ATTACH_SESSION', async () => {
    const gateway = await startGateway();
    const agent = await TestAgent.withTurns(backend);
    const surface = await gateway.connect(agent.sessionId);
    surface.send({ type: 'PONG' });
    surface.attach(agent.sessionId, await agent.token());
    expect(await surface.closed).toMatchObject({ code: 1003 });
    expect(surface.frames).toEqual([
      { type: 'PROTOCOL_ERROR', detail: "Expected ATTACH_SESSION as first frame, got 'PONG'" },
    ]);
    expect(await surfaceEvents(agent)).toEqual([]);
  });

  it('must name the session of the path', async () => {
    const gateway = await startGateway();
    const [mine, other] = [await TestAgent.withTurns(backend), await TestAgent.withTurns(backend)];
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
    const gateway = await startGateway();
    const surface = await gateway.connect(sessionId);
    surface.attach(sessionId, 'forged');
    expect(await surface.next('SESSION_NOT_FOUND')).toMatchObject({ detail: `No session with ID ${sessionId}` });
    expect(await surface.closed).toMatchObject({ code: 4004 });
  });

  it.each([
    ['forged', () => Promise.resolve('forged')],
    ['missing', () => Promise.resolve(undefined)],
    ["another session's", async () => (await TestAgent.withTurns(backend)).token()],
  ])('get 4003 for a token that is %s', async (_, makeToken) => {
    const gateway = await startGateway();
    const agent = await TestAgent.withTurns(backend);
    const surface = await gateway.connect(agent.sessionId);
    surface.send({ type: 'ATTACH_SESSION', session_id: agent.sessionId, session_token: await makeToken() });
    await surface.next('FORBIDDEN');
    expect(await surface.closed).toMatchObject({ code: 4003 });
    expect(await surfaceEvents(agent)).toEqual([]);
  });

  it('must come in time', async () => {
    const gateway = await startGateway({ firstFrame: 20 });
    const agent = await TestAgent.withTurns(backend);
    const surface = await gateway.connect(agent.sessionId);
    await surface.next('PROTOCOL_ERROR');
    expect(await surface.closed).toMatchObject({ code: 1003 });
  });

  it('must not be too big: the first above 64 KiB, any above 8 MiB', async () => {
    const gateway = await startGateway();
    const agent = await TestAgent.withTurns(backend);
    const first = await gateway.connect(agent.sessionId);
    first.attach(agent.sessionId, await agent.token(), { locale: 'x'.repeat(64 * 1024) });
    expect(await first.closed).toMatchObject({ code: 1009 });
    const later = await attach(gateway, agent, sdk);
    await later.next('SESSION_ATTACHED');
    later.send({ type: 'TOOL_RESULT', result: 'x'.repeat(8 * 1024 * 1024) });
    expect(await later.closed).toMatchObject({ code: 1009 });
  });

  it('wait for SESSION_ATTACHED, in order', async () => {
    const gateway = await startGateway();
    const agent = await TestAgent.withTurns(backend);
    const surface = await attach(gateway, agent, sdk);
    surface.send({ type: 'PONG' });
    surface.send({ type: 'DETACH' });
    surface.socket.send('hello');
    expect(await surface.closed).toMatchObject({ code: 1000 });
    expect(surface.of('SESSION_ATTACHED')).toHaveLength(1);
    expect(await detachReasons(agent)).toEqual(['detach']);
  });

  it('cannot wait for SESSION_ATTACHED in any number', async () => {
    const gateway = await startGateway();
    const agent = await TestAgent.withTurns(backend);
    const [held, go] = hold('surface.attached');
    const surface = await attach(gateway, agent, sdk);
    await held;
    for (let frame = 0; frame < 300; frame++) surface.send({ type: 'PONG' });
    expect(await surface.closed).toMatchObject({ code: 1009 });
    go();
    await eventually(async () => (await detachReasons(agent)).length === 1);
  });

  it('of unknown type or for tools are ignored; with bad fields also counted', async () => {
    const gateway = await startGateway();
    const agent = await TestAgent.withTurns(backend);
    const surface = await attach(gateway, agent, sdk);
    await surface.next('SESSION_ATTACHED');
    for (let frame = 0; frame < 1000; frame++) surface.send({ type: 'WAVE', frame });
    surface.send({ pong: true });
    surface.send({ type: 'TOOL_RESULT', call_id: 'none' });
    surface.send({ type: 'ATTACH_SESSION', session_id: 5 });
    await agent.run('still here');
    await surface.next('TURN_COMPLETE');
    await eventually(() => Promise.resolve(gateway.ignoredFrames === 1));
  });
});

describe('upgrades', () => {
  async function upgrade(gateway: TestGateway, path: string, headers: Record<string, string> = {}): Promise<Response> {
    const answered = Promise.withResolvers<Response>();
    const sent = request(`${gateway.url}${path}`, {
      headers: {
        connection: 'Upgrade',
        upgrade: 'websocket',
        'sec-websocket-version': '13',
        'sec-websocket-key': 'dGhlIHNhbXBsZSBub25jZQ==',
        ...headers,
      },
    });
    sent.on('response', (response) => {
      void response.toArray().then((chunks: Buffer[]) => {
        answered.resolve(new Response(Buffer.concat(chunks), { status: response.statusCode ?? 0 }));
      });
    });
    sent.on('error', answered.reject);
    sent.end();
    return answered.promise;
  }

  it('to unknown paths get 404', async () => {
    const gateway = await startGateway();
    const answer = await upgrade(gateway, '/v1/sbp/ws');
    expect(answer.status).toBe(404);
    expect(await answer.json()).toMatchObject({ error: { code: 'SBP_INVALID_REQUEST' } });
    expect((await upgrade(gateway, '/greeting')).status).toBe(404);
  });

  it('from foreign pages get 403', async () => {
    const gateway = await startGateway();
    const answer = await upgrade(gateway, '/v1/sbp/ws/x', { origin: 'http://evil.example' });
    expect(answer.status).toBe(403);
    expect(await answer.json()).toMatchObject({ error: { code: 'SBP_FORBIDDEN' } });
  });

  it('leave the other requests of the application alone, also those that offer HTTP/2', async () => {
    const gateway = await startGateway();
    expect(await (await fetch(`${gateway.url}/greeting`)).text()).toBe('hello');
    const answer = await upgrade(gateway, '/greeting', { upgrade: 'h2c', connection: 'Upgrade, HTTP2-Settings' });
    expect(await answer.text()).toBe('hello');
  });

  it('are possible for a session while others stay connected, without compression', async () => {
    const gateway = await startGateway();
    const agent = await TestAgent.withTurns(backend);
    const surface = await gateway.connect(agent.sessionId);
    expect(surface.socket.extensions).toBe('');
    surface.socket.close(1000);
    await once(surface.socket, 'close');
  });
});
