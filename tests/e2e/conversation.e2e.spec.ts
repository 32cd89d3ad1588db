import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { z } from 'zod';
import type { Message } from '#libs/protocol';
import { SbpResponse } from '#libs/protocol';
import { Agent } from './clients/agent.js';
import { StrictModel, UNREADABLE } from './clients/strict-model.js';
import { adaptation } from './suites/adaptation.contract.js';
import { parkedTurns } from './suites/parked-turns.contract.js';
import { surfaceTools } from './suites/surface-tools.contract.js';
import { startEmbedded } from './topology/embedded.js';
import type { Server } from './topology/server.js';
import { startServices } from './topology/stack.js';

const user = (content: Message['content']): Message => ({ role: 'user', content });
const tool = (tool_call_id: string): Message => ({ role: 'tool', tool_call_id, content: 'done' });

const tools = ['a', 'b', 'c', 'd'].map((name) => ({ type: 'function', function: { name } }));

const Answer = z.object({
  choices: z.tuple([z.object({ message: z.looseObject({ role: z.literal('assistant') }) })]),
  sbp: SbpResponse,
});

describe.each([
  ['embedded', startEmbedded],
  ['services', startServices],
])('the conversation on %s, with a model that takes only what OpenAI does', (_name, start) => {
  let model: StrictModel;
  let server: Server;

  beforeAll(async () => {
    model = await StrictModel.start();
    server = await start({ SBP_LLM_BASE_URL: model.url });
  });
  afterAll(async () => {
    await server.stop();
    await model.stop();
  });

  adaptation(
    () => server,
    () => model,
  );
  surfaceTools(
    () => server,
    () => model,
  );
  parkedTurns(
    () => server,
    () => model,
  );

  const send = (agent: Agent, messages: readonly Message[], sbp: object = {}) =>
    agent.post({ model: 'strict', messages, tools, sbp });

  /** One turn that the model takes; gives its answer, as the client keeps it. */
  async function turn(agent: Agent, messages: readonly Message[], sbp: object = {}) {
    const { status, json, text } = await send(agent, messages, sbp);
    expect(status, text).toBe(200);
    const { choices, sbp: told } = Answer.parse(json);
    return { answer: choices[0].message as Message, session: told.session_id };
  }

  async function stored(agent: Agent, session: string): Promise<readonly unknown[]> {
    return (await agent.messages(session)).map(({ content }) => content);
  }

  // [SBP-L1-28]
  it('goes on after an image that the model refused, which stays visible', async () => {
    const agent = new Agent(server.url);
    const { session } = await turn(agent, [user('Hello.')]);
    const { status } = await send(agent, [user(UNREADABLE)]);
    expect(status).toBe(400);
    await turn(agent, [user('Never mind.')]);
    expect(model.asked).toHaveLength(3);
    expect(JSON.stringify(model.asked)).not.toContain('unreadable');
    expect(await stored(agent, session)).toContainEqual(UNREADABLE);
    expect((await send(agent, [user(UNREADABLE)])).status).toBe(400);
    expect(model.asked).toHaveLength(5);
    expect(model.asked.at(-1)).toEqual(user(UNREADABLE));
  });

  // [SBP-L1-28] [SBP-L1-43]
  it('goes on where a client keeps the refused image in its list', async () => {
    const agent = new Agent(server.url);
    const { answer } = await turn(agent, [user('Hello.')]);
    const list = [user('Hello.'), answer, user(UNREADABLE)];
    expect((await send(agent, list)).status).toBe(400);
    const next = [...list, user('Never mind.')];
    const second = await turn(agent, next);
    await turn(agent, [...next, second.answer, user('Thanks.')]);
    expect(model.asked.map(({ content }) => content)).toEqual([
      ...['Hello.', 'I was sent 1 messages.', 'Never mind.', 'I was sent 3 messages.', 'Thanks.'],
    ]);
  });

  // [SBP-L1-29]
  it('goes on after tool calls that nobody answered, and after some that were', async () => {
    const agent = new Agent(server.url);
    const { session } = await turn(agent, [user('call: a b')]);
    await turn(agent, [user('Never mind.')]);
    expect(model.asked).toEqual([user('call: a b'), user('Never mind.')]);
    await turn(agent, [user('call: c d')]);
    expect((await send(agent, [tool('d')], { session_id: session })).status).toBe(400);
    await turn(agent, [user('Go on.')]);
    expect(model.asked.map(({ role }) => role)).not.toContain('tool');
    expect(model.asked.at(-1)).toEqual(user('Go on.'));
  });

  it.each(['only the results', 'everything', 'everything but what failed'] as const)(
    'answers its calls after a turn between them that failed, by a client that sends %s',
    async (resent) => {
      const agent = new Agent(server.url);
      const { answer, session } = await turn(agent, [user('call: a b')]);
      const failed = await send(agent, [user('refuse: 500')], { session_id: session });
      expect(failed.status).toBe(500);
      const results = [tool('a'), tool('b')];
      const before = resent === 'only the results' ? [] : [user('call: a b'), answer];
      const between = resent === 'everything' ? [user('refuse: 500')] : [];
      await send(agent, [...before, ...between, ...results], { session_id: session });
      expect(model.asked.map(({ role }) => role)).toEqual([
        ...['user', 'assistant', 'tool', 'tool', 'user'],
      ]);
    },
  );

  it('goes through a tool loop of a client that writes "" where null was', async () => {
    const agent = new Agent(server.url);
    const { answer, session } = await turn(agent, [user('call: a b')]);
    const results = [tool('a'), tool('b')];
    await turn(agent, [user('call: a b'), { ...answer, content: '' }, ...results]);
    expect(model.asked).toHaveLength(4);
    expect(await stored(agent, session)).toHaveLength(5);
  });

  // [SBP-L1-65]
  it('is regenerated and edited by a client that resends it', async () => {
    const agent = new Agent(server.url);
    const first = await turn(agent, [user('One.')]);
    const { session } = first;
    const start = [user('One.'), first.answer];
    await turn(agent, [...start, user('Two.')]);
    await turn(agent, [...start, user('Two.')]);
    expect(model.asked).toHaveLength(3);
    expect(await stored(agent, session)).toHaveLength(4);
    await turn(agent, [...start, user('Another two.')]);
    expect(model.asked.map(({ content }) => content)).toEqual([
      ...['One.', first.answer.content, 'Another two.'],
    ]);
    expect(await stored(agent, session)).toEqual([
      ...['One.', first.answer.content, 'Another two.', 'I was sent 3 messages.'],
    ]);
  });

  // [SBP-L1-67]
  it('is left for a new session by one that is another', async () => {
    const agent = new Agent(server.url);
    const { session } = await turn(agent, [user('One.')]);
    const other = [
      user('Elsewhere?'),
      { role: 'assistant', content: 'Far.' } as const,
      user('Go.'),
    ];
    const opened = await turn(agent, other);
    expect(opened.session).not.toBe(session);
    expect(model.asked).toEqual(other);
    expect((await turn(agent, [user('And now?')])).session).toBe(opened.session);
    expect(await stored(agent, session)).toHaveLength(2);
  });

  // [SBP-L1-27]
  it('is what a client says that it is', async () => {
    const agent = new Agent(server.url);
    const { answer, session } = await turn(agent, [user('One.')]);
    await turn(agent, [user('One.'), answer, user('Two.')], { history: 'new' });
    expect(model.asked).toHaveLength(5);
    await turn(agent, [user('One.')], { history: 'full' });
    expect(model.asked).toHaveLength(1);
    expect(await stored(agent, session)).toHaveLength(2);
    const moved = await turn(agent, [user('Other.')], { history: 'full' });
    expect(moved.session).not.toBe(session);
  });
});
