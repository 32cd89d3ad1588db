import OpenAI from 'openai';
import type { ClientOptions } from 'openai';
import type { Agent, Headings } from './agent.js';

/** OpenAI's client as its users make it, for an agent; it never asks twice. */
export function openaiFor(
  agent: Agent,
  headers: Headings = {},
  more: Pick<ClientOptions, 'fetch'> = {},
): OpenAI {
  return new OpenAI({
    baseURL: `${agent.url}/v1`,
    apiKey: 'sk-of-nobody',
    defaultHeaders: { 'X-Agent-ID': agent.id, ...headers },
    maxRetries: 0,
    ...more,
  });
}
