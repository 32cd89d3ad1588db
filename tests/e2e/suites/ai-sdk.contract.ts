import { createOpenAI } from '@ai-sdk/openai';
import { createOpenAICompatible } from '@ai-sdk/openai-compatible';
import type { LanguageModel, ModelMessage } from 'ai';
import { generateText, isStepCount, streamText, tool } from 'ai';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { Agent } from '../clients/agent.js';
import {
  STORED_TOOL_LOOP,
  TOOL_LOOP,
  conversationOf,
  toolResult,
} from '../clients/conversations.js';
import { MIXED, withGps } from '../clients/gps-surface.js';
import type { GetServer } from '../topology/server.js';

/** Vercel's AI SDK, which resends the whole conversation at each step, against the strict model. */
export function aiSdk(server: GetServer): void {
  /** A provider for any API like OpenAI's; it takes `sbp` as an option of the provider. */
  function compatible({ id, url }: Agent): LanguageModel {
    const headers = { 'X-Agent-ID': id };
    const baseURL = `${url}/v1`;
    return createOpenAICompatible({ name: 'statebridge', baseURL, headers, includeUsage: true })(
      'strict',
    );
  }

  /** OpenAI's provider, which drops options that it does not know; `sbp` goes in on the way. */
  function openai({ id, url }: Agent): LanguageModel {
    return createOpenAI({
      baseURL: `${url}/v1`,
      apiKey: 'sk-of-nobody',
      headers: { 'X-Agent-ID': id },
      fetch: (input, init) => {
        const body = JSON.parse(init?.body as string) as object;
        return fetch(input, { ...init, body: JSON.stringify({ ...body, sbp: {} }) });
      },
    }).chat('strict');
  }

  const entry = tool({ inputSchema: z.object({ call: z.string() }), execute: toolResult });
  const tools = { look: entry, note: entry };
  const calling = {
    tools,
    stopWhen: isStepCount(5),
    maxRetries: 0,
    providerOptions: { statebridge: { sbp: {} } },
  };

  /** One question with all that was said before; gives the text, and keeps what was said. */
  type Ask = (model: LanguageModel, messages: ModelMessage[], content: string) => Promise<string>;

  const generated: Ask = async (model, messages, content) => {
    messages.push({ role: 'user', content });
    const { text, responseMessages } = await generateText({ model, messages, ...calling });
    messages.push(...responseMessages);
    return text;
  };

  const streamed: Ask = async (model, messages, content) => {
    messages.push({ role: 'user', content });
    const { textStream, responseMessages } = streamText({ model, messages, ...calling });
    let text = '';
    for await (const delta of textStream) text += delta;
    messages.push(...(await responseMessages));
    return text;
  };

  describe('§3 the unmodified AI SDK', () => {
    // [SBP-L5-04]
    it.for([
      ['generateText', generated],
      ['streamText', streamed],
    ] as const)('runs tools beside those of the surface: %s', async ([, ask]) => {
      const agent = new Agent(server().url);
      const surface = await withGps(agent);
      const messages: ModelMessage[] = [];
      expect(await ask(compatible(agent), messages, MIXED.question)).toBe(MIXED.answer);
      expect(surface.of('TOOL_CALL')).toHaveLength(1);
    });

    // [SBP-L1-22] [SBP-L1-23]
    it.for([
      ['generateText, compatible provider', generated, compatible],
      ['streamText, compatible provider', streamed, compatible],
      ["generateText, OpenAI's provider", generated, openai],
      ["streamText, OpenAI's provider", streamed, openai],
    ] as const)(
      'runs tools in steps, and each message is kept once: %s',
      async ([, ask, provider]) => {
        const agent = new Agent(server().url);
        const model = provider(agent);
        const messages: ModelMessage[] = [];
        expect(await ask(model, messages, TOOL_LOOP.question)).toBe(TOOL_LOOP.answer);
        expect(await ask(model, messages, TOOL_LOOP.thanks)).toBe(TOOL_LOOP.farewell);
        expect(await conversationOf(agent)).toEqual(STORED_TOOL_LOOP);
      },
    );
  });
}
