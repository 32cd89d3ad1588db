import type { ServerFrame } from '#libs/protocol';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Arrivals } from '../testing/arrivals.js';
import { FakeServer, SESSION_ID } from '../testing/fake-server.js';
import type { Tool, ToolOutcome } from '../tools/tool.js';
import { failure, result } from '../tools/tool.js';
import { Toolbox } from '../tools/toolbox.js';
import type { SurfaceListener } from './surface-client.js';
import { SurfaceClient } from './surface-client.js';

const CALL_ID = '11111111-0b1d-4c7e-9a55-2f1f1f5a3c1b';
const CONTEXT = { device_type: 'desktop', mcp_tools: ['slow'], acknowledges: true };
const PING = { type: 'PING' };
const PONG = { type: 'PONG' };

let server: FakeServer;
let client: SurfaceClient | null;
/** Calls that the tool was given; each ends as the test says. */
let calls: PromiseWithResolvers<ToolOutcome>[];

const slow: Tool = {
  name: 'slow',
  schema: {},
  run: () => {
    const call = Promise.withResolvers<ToolOutcome>();
    calls.push(call);
    return call.promise;
  },
};

beforeEach(async () => {
  server = await FakeServer.open();
  client = null;
  calls = [];
});

afterEach(async () => {
  const left = client?.leave();
  await server.close();
  await left;
});

function start(listener: Partial<SurfaceListener> = {}, url = server.url): SurfaceClient {
  client = new SurfaceClient({
    url,
    sessionId: SESSION_ID,
    token: 'first token',
    context: CONTEXT,
    tools: new Toolbox([slow]),
    backOff: { firstMs: 1, longestMs: 1 },
    listener: {
      onFrame: () => undefined,
      shown: () => Promise.resolve(),
      onLost: () => undefined,
      ...listener,
    },
  });
  void client.run();
  return client;
}

function call(name = 'slow'): object {
  return { type: 'TOOL_CALL', call_id: CALL_ID, tool_name: name, tool_input: {} };
}

async function attached(token = 'renewed token') {
  const connection = await server.connections.next();
  const attach = await connection.attach(token);
  return { connection, attach };
}

describe('a surface', () => {
  it('attaches to its session, and passes on the frames that it knows', async () => {
    const frames = new Arrivals<ServerFrame>();
    start({ onFrame: (frame) => frames.push(frame) });
    const { connection, attach } = await attached();
    expect(connection.path).toBe(`/v1/sbp/ws/${SESSION_ID}`);
    expect(attach).toEqual({
      type: 'ATTACH_SESSION',
      session_id: SESSION_ID,
      session_token: 'first token',
      surface_context: CONTEXT,
    });
    expect(await frames.next()).toMatchObject({ type: 'SESSION_ATTACHED' });
    connection.send('no JSON');
    connection.send({ type: 'OF_A_LATER_SERVER' });
    const chunk = {
      type: 'TURN_CHUNK',
      chunk_id: CALL_ID,
      turn_id: CALL_ID,
      delta: 'Hi',
      offset: 0,
    };
    connection.send({ ...chunk, of_a_later_server: 1 });
    expect(await frames.next()).toEqual(chunk);
  });

  it('says PONG only after it has shown what came', async () => {
    const shown = Promise.withResolvers<undefined>();
    const order: string[] = [];
    const asked = Promise.withResolvers<undefined>();
    start({
      shown: async () => {
        asked.resolve(undefined);
        await shown.promise;
        order.push('shown');
      },
    });
    const { connection } = await attached();
    connection.send(PING);
    await asked.promise;
    shown.resolve(undefined);
    expect(await connection.frames.next()).toEqual(PONG);
    expect(order).toEqual(['shown']);
  });

  it('makes a call once and answers it once, though it is told twice', async () => {
    start();
    const { connection } = await attached();
    connection.send(call());
    connection.send(call());
    connection.send(PING);
    expect(await connection.frames.next()).toEqual(PONG);
    expect(calls).toHaveLength(1);
    calls[0]?.resolve(result({ opened: true }));
    const answer = { type: 'TOOL_RESULT', call_id: CALL_ID, result: { opened: true } };
    expect(await connection.frames.next()).toEqual(answer);
    connection.send(PING);
    expect(await connection.frames.next()).toEqual(PONG);
    // The server has lost the answer: it gets the same one.
    connection.send(call());
    expect(await connection.frames.next()).toEqual(answer);
    expect(calls).toHaveLength(1);
  });

  it('answers with an error what failed, and what it does not have', async () => {
    start();
    const { connection } = await attached();
    connection.send(call('door'));
    expect(await connection.frames.next()).toEqual({
      type: 'TOOL_RESULT',
      call_id: CALL_ID,
      error: 'This device has no tool named door.',
    });
    connection.send({ ...call(), call_id: SESSION_ID });
    connection.send(PING);
    expect(await connection.frames.next()).toEqual(PONG);
    calls[0]?.resolve(failure('It is stuck.'));
    expect(await connection.frames.next()).toMatchObject({ error: 'It is stuck.' });
  });

  it('returns after a lost connection with the renewed token, and with what came of calls', async () => {
    const lost = new Arrivals<string>();
    const surface = start({ onLost: (problem) => lost.push(problem) });
    const first = await attached();
    first.connection.send(call());
    first.connection.send(PING);
    expect(await first.connection.frames.next()).toEqual(PONG);
    expect(surface.token).toBe('renewed token');
    first.connection.break();
    expect(await lost.next()).toContain('1006');
    const second = await server.connections.next();
    // The connection is not attached yet: nothing but the attach goes out.
    calls[0]?.resolve(result('done'));
    expect(await second.attach('third token')).toMatchObject({ session_token: 'renewed token' });
    const answer = { type: 'TOOL_RESULT', call_id: CALL_ID, result: 'done' };
    expect(await second.frames.next()).toEqual(answer);
    second.send(call());
    expect(await second.frames.next()).toEqual(answer);
    expect(calls).toHaveLength(1);
  });

  it.each([1001, 1011, 1012, 1013, 4008])('returns after a close with %d', async (code) => {
    start();
    (await attached()).connection.close(code);
    expect((await attached()).attach).toMatchObject({ session_token: 'renewed token' });
  });

  it('tries on while no server is there', async () => {
    const { url } = server;
    await server.close();
    const lost = new Arrivals<string>();
    start({ onLost: (problem) => lost.push(problem) }, url);
    expect([await lost.next(), await lost.next()]).toEqual([
      expect.stringContaining('ECONNREFUSED') as unknown,
      expect.stringContaining('ECONNREFUSED') as unknown,
    ]);
    server = await FakeServer.open();
  });

  it.each([
    [4009, 0],
    [4003, 1],
    [4004, 1],
    [1000, 0],
  ])('ends after a close with %d, with exit code %d', async (code, exitCode) => {
    const surface = start();
    (await attached()).connection.close(code);
    expect(await surface.run()).toMatchObject({ exitCode });
  });

  it('detaches when it leaves, and shows and does nothing afterwards', async () => {
    const frames: string[] = [];
    const surface = start({ onFrame: ({ type }) => frames.push(type) });
    const { connection } = await attached();
    connection.send(PING);
    expect(await connection.frames.next()).toEqual(PONG);
    const left = surface.leave();
    expect(await connection.frames.next()).toEqual({ type: 'DETACH' });
    connection.send(call());
    connection.close(1000);
    await left;
    expect(await surface.run()).toEqual({ exitCode: 0, why: 'Detached.' });
    expect([frames, calls]).toEqual([['SESSION_ATTACHED', 'PING'], []]);
  });

  it('leaves also before it is attached', async () => {
    const surface = start();
    const connection = await server.connections.next();
    await surface.leave();
    expect(await connection.closed).toBe(1006);
    expect(await surface.run()).toMatchObject({ exitCode: 0 });
  });
});
