import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Message } from '#libs/protocol';
import { Agent } from './clients/agent.js';
import { StrictModel } from './clients/strict-model.js';
import { startEmbedded } from './topology/embedded.js';
import type { Server } from './topology/server.js';
import { startServices } from './topology/stack.js';

const OMITTED = 'x-sbp-context-turns-omitted';
/** About a hundred bytes, and a name by which it is found again. */
const said = (name: string): string => `${name}: ${'words and '.repeat(9)}`;
const user = (name: string): Message => ({ role: 'user', content: said(name) });

// [SBP-L1-80] [SBP-L1-83]
describe.each([
  ['embedded', startEmbedded],
  ['services', startServices],
])('a long conversation on %s, with a model that takes only what OpenAI does', (_name, start) => {
  let model: StrictModel;
  let server: Server;

  beforeAll(async () => {
    model = await StrictModel.start();
    server = await start({
      SBP_LLM_BASE_URL: model.url,
      SBP_CONTEXT_TOKENS: '{"strict": 400, "*": 100000}',
    });
  });
  afterAll(async () => {
    await server.stop();
    await model.stop();
  });

  const lastAsked = (): string => JSON.stringify(model.asked);

  it('is sent without its oldest turns, streamed and not; what is stored stays whole', async () => {
    const agent = new Agent(server.url);
    const send = (messages: readonly Message[], stream: boolean) =>
      agent.post({ model: 'strict', messages, stream, sbp: {} });
    const system: Message = { role: 'system', content: 'Be brief.' };
    const first = await send([system, user('turn-0')], false);
    expect([first.status, first.headers.get(OMITTED)]).toEqual([200, null]);
    let omitted = 0;
    for (let turn = 1; turn <= 12; turn++) {
      const answer = await send([user(`turn-${turn}`)], turn % 2 === 0);
      expect(answer.status, answer.text).toBe(200);
      const now = Number(answer.headers.get(OMITTED) ?? '0');
      expect(now).toBeGreaterThanOrEqual(omitted);
      omitted = now;
      // Always whole turns, the oldest first, the system message and what is new.
      for (let old = 0; old < turn; old++) {
        expect(lastAsked().includes(`turn-${old}:`)).toBe(old >= omitted);
      }
      expect(lastAsked()).toContain('Be brief.');
      expect(lastAsked()).toContain(`turn-${turn}:`);
    }
    expect(omitted).toBeGreaterThan(4);
    const sessionId = first.headers.get('x-sbp-session-id') ?? '';
    const messages = await agent.messages(sessionId);
    expect(messages.filter(({ role }) => role === 'user')).toHaveLength(13);
  });

  it('is sent whole to a model with more room', async () => {
    const agent = new Agent(server.url);
    for (let turn = 0; turn <= 12; turn++) {
      const messages = [user(`turn-${turn}`)];
      const { headers } = await agent.post({ model: 'roomy', messages, sbp: {} });
      expect(headers.get(OMITTED)).toBeNull();
    }
    expect(lastAsked()).toContain('turn-0:');
  });

  it('never parts a tool’s answer from its call', async () => {
    const agent = new Agent(server.url);
    const tools = ['a', 'b'].map((name) => ({ type: 'function', function: { name } }));
    const send = (messages: readonly Message[]) =>
      agent.post({ model: 'strict', messages, tools, sbp: {} });
    for (let round = 0; round < 8; round++) {
      const called = await send([{ role: 'user', content: `call: a-${round} b-${round}` }]);
      expect(called.status, called.text).toBe(200);
      // The model refuses answers without their calls, and calls without their answers.
      const answers = ['a', 'b'].map((name): Message => {
        return { role: 'tool', tool_call_id: `${name}-${round}`, content: said('done') };
      });
      const answered = await send(answers);
      expect(answered.status, answered.text).toBe(200);
    }
    expect(lastAsked()).toContain('a-7');
    expect(lastAsked()).not.toContain('a-0');
  });
});
