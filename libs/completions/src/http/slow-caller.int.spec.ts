import { once } from 'node:events';
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import { createServer, request } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, expect, it } from 'vitest';
import type { ModelResponse } from '#libs/llm';
import { TestModel } from '../testing/test-model.js';
import { trackedRequest } from '../testing/test-request.js';
import { eventually, useStage } from '../testing/test-stage.js';
import { TurnService } from '../turn/turn-service.js';
import { HttpCaller } from './http-caller.js';

const stage = useStage();
let server: Server;

beforeEach(async () => {
  server = createServer();
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
});
afterEach(async () => {
  server.closeAllConnections();
  server.close();
  await once(server, 'close');
});

/** A client that asks and reads nothing of the answer; the server's side of it. */
async function silentClient() {
  const arrived = once(server, 'request') as Promise<[IncomingMessage, ServerResponse]>;
  const { port } = server.address() as AddressInfo;
  const client = request({ port, host: '127.0.0.1', method: 'POST' });
  client.on('error', () => undefined);
  client.on('response', (response) => {
    response.on('error', () => undefined);
    response.pause();
  });
  client.end('{}');
  const [, response] = await arrived;
  return response;
}

const sse = (data: object): Buffer => Buffer.from(`data: ${JSON.stringify(data)}\n\n`);

/** A model that streams far more than the buffers of a connection hold, as long as it is read. */
function flood(isWanted: () => boolean): Promise<ModelResponse> {
  async function* body() {
    // What a client does not know it passes over; the transcript keeps one letter of each.
    const choice = { index: 0, delta: { content: 'x' } };
    const chunk = sse({ choices: [choice], padding: 'x'.repeat(64 * 1024) });
    for (let sent = 0; sent < 2_000 && isWanted(); sent++) {
      yield chunk;
      await new Promise((resolve) => setImmediate(resolve));
    }
    yield sse({ choices: [{ index: 0, delta: {}, finish_reason: 'stop' }] });
  }
  const headers = { 'content-type': 'text/event-stream' };
  return Promise.resolve({ status: 200, headers, body: body() });
}

// [SBP-L1-42]
it('a turn whose caller reads too slowly runs to its end, and is owed to a surface', async () => {
  const response = await silentClient();
  const caller = new HttpCaller(response, {});
  const model = new TestModel();
  model.answer = () => flood(() => caller.connected);
  const completions = await stage.start({ model });
  await completions.get(TurnService).run(trackedRequest({ stream: true }), caller);
  expect(caller.connected).toBe(false);
  await eventually(() => expect(response.destroyed).toBe(true));
  const events = await stage.backend.events();
  expect(events.at(-1)).toMatchObject({ type: 'turn.completed', data: { caller: 'gone' } });
  const sessionId = events[0]?.session_id ?? '';
  await stage.backend.freshness.latest(sessionId);
  expect(await stage.backend.sessions.state(sessionId)).toMatchObject({ turn: null, head: 1 });
});
