import { beforeAll, describe, expect, it } from 'vitest';
import { Agent } from '../clients/agent.js';
import {
  STORED_TALK,
  STORED_TOOL_LOOP,
  TALK,
  TOOL_LOOP,
  conversationOf,
} from '../clients/conversations.js';
import { INSTALL_MS, PythonClients } from '../clients/python.js';
import type { GetServer } from '../topology/server.js';

/** LangChain for Python, against the strict model. */
export function langchainPython(server: GetServer): void {
  let clients: PythonClients;
  beforeAll(async () => {
    clients = await PythonClients.install();
  }, INSTALL_MS);

  const converse = (agent: Agent, more: object) =>
    clients.run('langchain_client.py', agent, 'converse', more);
  const ways = [
    ['invoke', false],
    ['stream', true],
  ] as const;

  describe('§3 the unmodified LangChain for Python', () => {
    // [SBP-L1-22] [SBP-L1-23]
    it.for(ways)(
      'runs a loop of tools by %s, and each message is kept once',
      async ([, stream]) => {
        const agent = new Agent(server().url);
        const questions = [TOOL_LOOP.question, TOOL_LOOP.thanks];
        const told = await converse(agent, { system: null, questions, stream });
        expect(told).toEqual([TOOL_LOOP.answer, TOOL_LOOP.farewell]);
        expect(await conversationOf(agent)).toEqual(STORED_TOOL_LOOP);
      },
    );

    // [SBP-L1-22] [SBP-L1-24]
    it.for(ways)('has a conversation of several turns by %s', async ([, stream]) => {
      const agent = new Agent(server().url);
      await converse(agent, { ...TALK, stream });
      expect(await conversationOf(agent)).toEqual(STORED_TALK);
    });
  });
}
