import type { AIMessageChunk, BaseMessage } from '@langchain/core/messages';
import { HumanMessage, SystemMessage, ToolMessage } from '@langchain/core/messages';
import { tool } from '@langchain/core/tools';
import { ChatOpenAI } from '@langchain/openai';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { Agent } from '../clients/agent.js';
import {
  STORED_TALK,
  STORED_TOOL_LOOP,
  TALK,
  TOOL_LOOP,
  conversationOf,
  toolResult,
} from '../clients/conversations.js';
import type { GetServer } from '../topology/server.js';

/** LangChain, which resends the whole conversation, and writes "" where null was. */
export function langchain(server: GetServer): void {
  function chat({ id, url }: Agent): ChatOpenAI {
    return new ChatOpenAI({
      model: 'strict',
      apiKey: 'sk-of-nobody',
      maxRetries: 0,
      modelKwargs: { sbp: {} },
      configuration: { baseURL: `${url}/v1`, defaultHeaders: { 'X-Agent-ID': id } },
    });
  }

  const schema = z.object({ call: z.string() });
  const tools = ['look', 'note'].map((name) => tool(toolResult, { name, schema }));

  /** One call with all that was said, and what it answered, as an application keeps it. */
  type Ask = (
    model: Pick<ChatOpenAI, 'invoke' | 'stream'>,
    said: BaseMessage[],
  ) => Promise<AIMessageChunk>;

  const invoked: Ask = (model, said) => model.invoke(said);
  const streamed: Ask = async (model, said) => {
    let whole: AIMessageChunk | undefined;
    for await (const chunk of await model.stream(said)) whole = whole?.concat(chunk) ?? chunk;
    if (whole === undefined) throw new Error('the stream was empty');
    return whole;
  };
  const ways = [
    ['invoke', invoked],
    ['stream', streamed],
  ] as const;

  describe('§3 the unmodified LangChain', () => {
    // [SBP-L1-22] [SBP-L1-23]
    it.for(ways)('runs a loop of tools by %s, and each message is kept once', async ([, ask]) => {
      const agent = new Agent(server().url);
      const model = chat(agent).bindTools(tools);
      const said: BaseMessage[] = [];
      const run = async (question: string): Promise<string> => {
        said.push(new HumanMessage(question));
        for (;;) {
          const answer = await ask(model, said);
          said.push(answer);
          if (!answer.tool_calls?.length) return answer.text;
          for (const { id = '', args } of answer.tool_calls) {
            const content = toolResult(args as { readonly call: string });
            said.push(new ToolMessage({ content, tool_call_id: id }));
          }
        }
      };
      expect(await run(TOOL_LOOP.question)).toBe(TOOL_LOOP.answer);
      expect(await run(TOOL_LOOP.thanks)).toBe(TOOL_LOOP.farewell);
      expect(await conversationOf(agent)).toEqual(STORED_TOOL_LOOP);
    });

    // [SBP-L1-22] [SBP-L1-24]
    it.for(ways)('has a conversation of several turns by %s', async ([, ask]) => {
      const agent = new Agent(server().url);
      const model = chat(agent);
      const said: BaseMessage[] = [new SystemMessage(TALK.system)];
      for (const question of TALK.questions) {
        said.push(new HumanMessage(question));
        said.push(await ask(model, said));
      }
      expect(await conversationOf(agent)).toEqual(STORED_TALK);
    });
  });
}
