import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { ServerFrame } from '#libs/protocol';
import { LiveTurns } from '#libs/live';
import { surfaceUrl } from '#libs/testing';
import { expect, it } from 'vitest';
import { WebSocket } from 'ws';
import { useScene } from '../testing/scene.js';
import { TestAgent } from '../testing/test-agent.js';

const scene = useScene();

setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc') as () => void;

/** Bytes that are in use in this process, garbage aside. */
function bytesInUse(): number {
  collectGarbage();
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}

const MEGABYTE = 1024 * 1024;
const LENGTH = 9 * MEGABYTE;
/** Tokens of 8 characters. */
const TOKENS = Array.from({ length: 1024 }, (_, token) => String(token).padStart(8, '.'));

/** A client that counts the text that it gets, and keeps none of it. */
class CountingClient {
  characters = 0;
  ended = false;
  private changed = Promise.withResolvers<undefined>();

  constructor(url: string, sessionId: string, token: string) {
    const socket = new WebSocket(url);
    const frame = { type: 'ATTACH_SESSION', session_id: sessionId, session_token: token };
    socket.on('open', () => socket.send(JSON.stringify(frame)));
    socket.on('message', (data: Buffer) => {
      const frame = ServerFrame.parse(JSON.parse(data.toString()));
      if (frame.type === 'TURN_CHUNK') this.characters += frame.delta.length;
      if (frame.type === 'TURN_COMPLETE') this.ended = true;
      this.changed.resolve(undefined);
      this.changed = Promise.withResolvers<undefined>();
    });
  }

  async until(condition: (client: this) => boolean): Promise<void> {
    while (!condition(this)) await this.changed.promise;
  }
}

it('following a long answer costs about the memory of its text once, and nothing after its end', async () => {
  const gateway = await scene.startGateway();
  const agent = await TestAgent.withTurns(scene.backend);
  const url = surfaceUrl(gateway.url, agent.sessionId);
  const client = new CountingClient(url, agent.sessionId, await agent.token());
  const { turnId, epoch, runner } = await agent.start();
  const runners = new LiveTurns(scene.backend.mailbox);
  const turn = runners.begin(agent.sessionId, turnId, epoch, () => undefined);
  runners.accept(await agent.asked());
  const before = bytesInUse();
  let most = 0;
  for (let said = 0; said < LENGTH; said += MEGABYTE) {
    for (let token = 0; token < MEGABYTE / 8; token++) {
      turn.append(TOKENS[token % TOKENS.length] ?? '');
      // As with a model, whose tokens come over time.
      if (token % 64 === 0) await new Promise((resolve) => setImmediate(resolve));
    }
    await client.until(({ characters }) => characters === said + MEGABYTE);
    most = Math.max(most, bytesInUse() - before);
  }
  await agent.complete({ turnId, epoch, runner }, TOKENS.join('').repeat(LENGTH / 8 / 1024));
  await client.until(({ ended }) => ended);
  runners.end(turn);
  expect(client.characters).toBe(LENGTH);
  expect(most).toBeLessThan(2 * LENGTH);
  expect(bytesInUse() - before).toBeLessThan(LENGTH / 2);
});
