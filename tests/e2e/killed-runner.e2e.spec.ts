import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import OpenAI from 'openai';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { TurnsResponse } from '#libs/protocol';
import { startStack } from '../../tools/stack/index.js';
import type { ServiceProcess, Stack } from '../../tools/stack/index.js';
import { guardFolder } from '../../tools/supervise/index.js';
import { Agent, steered } from './clients/agent.js';
import type { Answer } from './clients/agent.js';
import { Completion } from './clients/bodies.js';
import { eventually } from './clients/waiting.js';
import { sharedStack } from './topology/stack.js';

/** Long enough that its runner is killed while it runs. */
const LONG = steered('ttft=1500 tokens=20 interval=50', 'Do not lose me.');
const KEYED = 30;

let dataDir: string;
let stack: Stack;

beforeAll(async () => {
  dataDir = await mkdtemp(path.join(tmpdir(), 'statebridge-e2e-killed-'));
  guardFolder(dataDir);
  stack = await startStack({
    ...sharedStack(dataDir, `killed-${randomUUID()}`),
    restart: true,
    replicas: { completions: 2 },
  });
});

afterAll(async () => {
  await stack.stop();
  await rm(dataDir, { recursive: true, force: true });
});

function runner(): ServiceProcess {
  const found = stack.services.find(({ kind }) => kind === 'completions');
  if (found === undefined) throw new Error('nothing runs turns');
  return found;
}

/** Kills the process; resolves when another one serves in its place. */
async function kill(victim: ServiceProcess): Promise<void> {
  const back = once(victim.events, 'ready');
  process.kill(victim.pid, 'SIGKILL');
  await back;
}

/** A client whose first try goes to the runner, and the others through the front. */
function clientOf(agent: Agent, { url }: ServiceProcess): { client: OpenAI; tries: () => number } {
  let tries = 0;
  const client = new OpenAI({
    apiKey: 'unused',
    baseURL: `${stack.url}/v1`,
    maxRetries: 5,
    defaultHeaders: { 'X-Agent-ID': agent.id },
    fetch: (input, init) => {
      tries += 1;
      const address = input instanceof Request ? input.url : input.toString();
      return fetch(tries === 1 ? address.replace(stack.url, url) : address, init);
    },
  });
  return { client, tries: () => tries };
}

const body = { model: 'gpt-4o', messages: [{ role: 'user' as const, content: LONG }] };

/** The session that the agent's first turn has opened, once it runs. */
async function running(agent: Agent): Promise<string> {
  return eventually(async () => {
    const probe = await agent.post({ model: 'gpt-4o', messages: [], sbp: {} });
    const { sbp } = probe.json as { readonly sbp: { readonly session_id: string } };
    expect((await agent.session(sbp.session_id)).turn_in_flight).not.toBeNull();
    return sbp.session_id;
  });
}

async function turnsOf(agent: Agent, sessionId: string) {
  const { json } = await agent.get(`sessions/${sessionId}/turns`);
  return TurnsResponse.parse(json).turns;
}

describe('a turn whose runner is killed', () => {
  // [SBP-L1-79]
  it('is not run twice for a client that asks again by itself, and answers it', async () => {
    const agent = new Agent(stack.url);
    const victim = runner();
    const { client, tries } = clientOf(agent, victim);
    const answering = client.chat.completions.create({ ...body, ...{ sbp: {} } });
    const sessionId = await running(agent);
    await kill(victim);
    const { choices } = await answering;
    expect(tries()).toBeGreaterThan(1);
    expect(choices[0]?.message.content?.split(' ')).toHaveLength(20);
    const turns = await turnsOf(agent, sessionId);
    expect(turns.map(({ status }) => status)).toEqual(['completed']);
    const [, answer] = await agent.messages(sessionId);
    expect(answer?.['content']).toBe(choices[0]?.message.content);
  });

  it('tells a client that reads it as a stream, and is one turn with one answer', async () => {
    const agent = new Agent(stack.url);
    const victim = runner();
    const { client } = clientOf(agent, victim);
    const stream = await client.chat.completions.create({
      ...body,
      stream: true,
      ...{ sbp: {} },
    });
    const sessionId = await running(agent);
    const reading = (async () => {
      let text = '';
      for await (const { choices } of stream) text += choices[0]?.delta.content ?? '';
      return text;
    })();
    const told = reading.then(
      (text) => text,
      () => null,
    );
    await kill(victim);
    expect(await told).toBeNull();
    await eventually(async () => {
      const turns = await turnsOf(agent, sessionId);
      expect(turns.map(({ status }) => status)).toEqual(['completed']);
    });
    expect(await agent.messages(sessionId)).toHaveLength(2);
  });

  // [SBP-L1-64]
  it('is one turn for thirty repeats of its key, and all get its answer', async () => {
    const agent = new Agent(stack.url);
    const victim = runner();
    const headers = { 'idempotency-key': randomUUID() };
    const ask = async (door: string): Promise<Answer> => {
      try {
        const answer = await agent.at(door).post({ ...body, sbp: {} }, headers);
        if (answer.status === 200) return answer;
      } catch {
        // Its connection broke with the process.
      }
      return ask(stack.url);
    };
    const first = ask(victim.url);
    const sessionId = await running(agent);
    const doors = stack.services.filter(({ kind }) => kind === 'completions');
    const repeats = Array.from({ length: KEYED - 1 }, (_, at) =>
      ask(doors[at % doors.length]?.url ?? stack.url),
    );
    await kill(victim);
    const answers = await Promise.all([first, ...repeats]);
    const completions = answers.map(({ json }) => Completion.parse(json));
    expect(new Set(completions.map(({ sbp }) => sbp?.turn_id)).size).toBe(1);
    const texts = new Set(completions.map(({ choices }) => choices[0]?.message.content));
    expect(texts.size).toBe(1);
    expect(await turnsOf(agent, sessionId)).toHaveLength(1);
  });
});
