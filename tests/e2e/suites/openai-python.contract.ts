import { randomUUID } from 'node:crypto';
import { beforeAll, describe, expect, it } from 'vitest';
import { SbpResponse } from '#libs/protocol';
import { Agent, request } from '../clients/agent.js';
import { INSTALL_MS, PythonClients } from '../clients/python.js';
import type { SessionKey } from '../clients/surface.js';
import { STORED_TOOL_LOOP, TOOL_LOOP, conversationOf } from '../clients/conversations.js';
import { eventually } from '../clients/waiting.js';
import type { GetServer } from '../topology/server.js';

/** OpenAI's client for Python, against the strict model. */
export function openaiPython(server: GetServer): void {
  let clients: PythonClients;
  beforeAll(async () => {
    clients = await PythonClients.install();
  }, INSTALL_MS);

  /** A session with one turn. */
  async function opened(agent: Agent): Promise<SessionKey> {
    const messages = [{ role: 'user', content: 'Hello.' }];
    const { headers } = await agent.post({ model: 'strict', messages, sbp: {} });
    return {
      session_id: headers.get('x-sbp-session-id') ?? '',
      session_token: headers.get('x-session-token') ?? '',
    };
  }

  const client = (agent: Agent) => (deed: string, more: object) =>
    clients.run('openai_client.py', agent, deed, more);

  describe('§3 the unmodified openai client for Python', () => {
    // [SBP-L1-30]
    it('gets stateful answers, and reads sbp and the headers', async () => {
      const agent = new Agent(server().url);
      const run = client(agent);
      for (const [deed, step_count, text] of [
        ['plain', 1, 'I was sent 1 messages.'],
        ['streamed', 2, 'I was sent 3 messages.'],
      ] as const) {
        const told = (await run(deed, { content: `${deed}.` })) as Readonly<
          Record<string, unknown>
        >;
        const sbp = SbpResponse.parse(told['sbp']);
        expect(told).toMatchObject({
          text,
          session_id: sbp.session_id,
          session_token: sbp.session_token,
          sbp: { step_count },
        });
      }
      expect(await conversationOf(agent)).toEqual([
        ...['user: plain.', 'assistant: I was sent 1 messages.'],
        ...['user: streamed.', 'assistant: I was sent 3 messages.'],
      ]);
    });

    // [SBP-L1-22]
    it.for([false, true])(
      'runs tools, and each message is kept once (stream: %o)',
      async (stream) => {
        const agent = new Agent(server().url);
        const questions = [TOOL_LOOP.question, TOOL_LOOP.thanks];
        expect(await client(agent)('tools', { questions, stream })).toEqual([
          TOOL_LOOP.answer,
          TOOL_LOOP.farewell,
        ]);
        expect(await conversationOf(agent)).toEqual(STORED_TOOL_LOOP);
      },
    );

    // [SBP-L1-02]
    it('parses answers in the form of a schema', async () => {
      const report = { messages: 1, words: 'I was sent 1 messages.' };
      expect(await client(new Agent(server().url))('report', {})).toEqual({
        parsed: report,
        streamed: report,
      });
    });

    // [SBP-ERR-06] [SBP-L1-05]
    it('raises the right exceptions', async () => {
      const agent = new Agent(server().url);
      const own = await opened(agent);
      const other = await opened(new Agent(agent.url));
      const token = (value: string) => ({ 'X-Session-Token': value });
      const asking = (content: string, sbp: object = {}, headers: object = {}) => ({
        content,
        sbp,
        headers,
      });
      const cases = [
        [asking('Hi.', { checkpoint_every: 0 }), 'BadRequestError', 400, 'SBP_INVALID_REQUEST'],
        [asking('Hi.', {}, token('forged')), 'AuthenticationError', 401, 'SBP_UNAUTHORIZED'],
        [
          asking('Hi.', { session_id: own.session_id }, token(other.session_token)),
          ...['PermissionDeniedError', 403, 'SBP_FORBIDDEN'],
        ],
        [
          asking('Hi.', { session_id: randomUUID() }),
          'NotFoundError',
          404,
          'SBP_SESSION_NOT_FOUND',
        ],
        [asking('Hi.', { session_id: 'x' }), 'UnprocessableEntityError', 422, 'SBP_INVALID_UUID'],
        [asking('refuse: 400'), 'BadRequestError', 400, null],
        [asking('refuse: 401'), 'AuthenticationError', 401, null],
        [asking('refuse: 409'), 'ConflictError', 409, null],
        [asking('refuse: 429'), 'RateLimitError', 429, null],
        [asking('refuse: 500'), 'InternalServerError', 500, null],
        [asking('break: off'), 'InternalServerError', 503, 'SBP_UPSTREAM_UNAVAILABLE'],
      ] as const;
      const requests = cases.map(([each]) => each);
      expect(await client(agent)('errors', { requests })).toEqual(
        cases.flatMap(([, name, status, code]) => {
          const error = { class: name, status, code };
          return [error, error];
        }),
      );
    });

    // [SBP-ERR-06] [SBP-L1-70]
    it('raises the right exception where its turn is cancelled', async () => {
      const agent = new Agent(server().url);
      const { session_id: id } = await opened(agent);
      const requests = [{ content: 'never: answer', sbp: {}, headers: {} }];
      const told = client(agent)('errors', { requests });
      const cancelled = new Set<unknown>();
      // It asks twice, the second time for a stream.
      while (cancelled.size < 2) {
        const turn = await eventually(async () => {
          const { turn_in_flight: turn } = await agent.session(id);
          expect(turn).not.toBeNull();
          expect(cancelled).not.toContain(turn);
          return turn;
        });
        await request(`${agent.url}/v1/sbp/sessions/${id}/cancel`, { method: 'POST' });
        cancelled.add(turn);
      }
      const error = { class: 'ConflictError', status: 409, code: 'SBP_TURN_CANCELLED' };
      expect(await told).toEqual([error, error]);
    });
  });
}
