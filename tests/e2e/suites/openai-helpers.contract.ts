import { zodFunction, zodResponseFormat } from 'openai/helpers/zod';
import type { ChatCompletionMessageParam } from 'openai/resources';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { Agent } from '../clients/agent.js';
import { openaiFor } from '../clients/openai.js';
import {
  STORED_TOOL_LOOP,
  TOOL_LOOP,
  conversationOf,
  toolResult,
} from '../clients/conversations.js';
import { MIXED, withGps } from '../clients/gps-surface.js';
import type { GetServer } from '../topology/server.js';

/** OpenAI's own client with what it does by itself, against the strict model. */
export function openaiHelpers(server: GetServer): void {
  function client() {
    const agent = new Agent(server().url);
    return { agent, completions: openaiFor(agent).chat.completions };
  }

  const tools = ['look', 'note'].map((name) =>
    zodFunction({
      name,
      description: name,
      parameters: z.object({ call: z.string() }),
      function: toolResult,
    }),
  );
  const ask = (content: string): ChatCompletionMessageParam => ({ role: 'user', content });
  const Report = z.object({ messages: z.int(), words: z.string() });
  const reporting = {
    model: 'strict',
    messages: [ask('Report.')],
    response_format: zodResponseFormat(Report, 'report'),
    sbp: {},
  };
  const report = { messages: 1, words: 'I was sent 1 messages.' };

  describe('§3 the helpers of the unmodified openai client', () => {
    // [SBP-L1-22]
    it.for([false, true])(
      'run tools, and each message is kept once (stream: %o)',
      async (stream) => {
        const { agent, completions } = client();
        const history: ChatCompletionMessageParam[] = [];
        const run = async (content: string): Promise<string | null> => {
          const messages = [...history, ask(content)];
          const params = { model: 'strict', messages, tools, sbp: {} };
          const runner = stream
            ? completions.runTools({ ...params, stream })
            : completions.runTools(params);
          const text = await runner.finalContent();
          history.splice(0, Infinity, ...runner.messages);
          return text;
        };
        expect(await run(TOOL_LOOP.question)).toBe(TOOL_LOOP.answer);
        expect(await run(TOOL_LOOP.thanks)).toBe(TOOL_LOOP.farewell);
        expect(await conversationOf(agent)).toEqual(STORED_TOOL_LOOP);
      },
    );

    // [SBP-L5-04]
    it.for([false, true])(
      'run tools beside those of the surface, in one turn (stream: %o)',
      async (stream) => {
        const { agent, completions } = client();
        const surface = await withGps(agent);
        const params = { model: 'strict', messages: [ask(MIXED.question)], tools, sbp: {} };
        const runner = stream
          ? completions.runTools({ ...params, stream })
          : completions.runTools(params);
        expect(await runner.finalContent()).toBe(MIXED.answer);
        expect(runner.messages.map(({ role }) => role)).toEqual([
          ...['user', 'assistant', 'tool', 'assistant'],
        ]);
        expect(surface.of('TOOL_CALL')).toHaveLength(1);
      },
    );

    // [SBP-L1-02]
    it('parse an answer in the form of a schema', async () => {
      const { agent, completions } = client();
      const completion = await completions.parse(reporting);
      expect(completion.choices[0]?.message.parsed).toEqual(report);
      expect(completion).toHaveProperty('sbp.step_count', 1);
      expect(await conversationOf(agent)).toEqual([
        'user: Report.',
        `assistant: ${JSON.stringify(report)}`,
      ]);
    });

    it('parse a streamed answer in the form of a schema', async () => {
      const { completions } = client();
      const stream = completions.stream({ ...reporting, stream: true });
      const completion = await stream.finalChatCompletion();
      expect(completion.choices[0]?.message.parsed).toEqual(report);
    });
  });
}
