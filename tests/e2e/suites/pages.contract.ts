import OpenAI from 'openai';
import { describe, expect, it } from 'vitest';
import { ROUTES } from '#libs/protocol';
import { Agent, request } from '../clients/agent.js';
import { Chunk, Completion } from '../clients/bodies.js';
import { openaiFor } from '../clients/openai.js';
import { pageFetch, preflight } from '../clients/page.js';
import type { GetServer } from '../topology/server.js';

/** Of another port of this machine. */
const PAGE = 'http://localhost:5173';

const SENT = [
  'authorization',
  'cache-control',
  'content-type',
  'idempotency-key',
  'last-event-id',
  'x-agent-id',
  'x-session-token',
  'x-stainless-retry-count',
];

export function pages(server: GetServer): void {
  /** The official client in a page, and the agent that it speaks for. */
  function client(origin: string) {
    const agent = new Agent(server().url);
    return { agent, openai: openaiFor(agent, {}, { fetch: pageFetch(origin) }) };
  }
  const asking = { model: 'm', messages: [{ role: 'user' as const, content: 'Hello.' }], sbp: {} };

  describe('in a web page', () => {
    // [SBP-SEC-07] [SBP-SEC-08]
    it.for(ROUTES)('%o may be asked for', async ({ method, path }) => {
      const target = `${server().url}${path.replaceAll(/\{\*?\w+\}/g, 'x')}`;
      const answer = await preflight(target, PAGE, method === 'ALL' ? 'PUT' : method, SENT);
      expect(answer.status).toBe(204);
      expect(answer.headers.get('access-control-allow-origin')).toBe(PAGE);
      expect(answer.headers.get('access-control-allow-private-network')).toBe('true');
      expect(answer.headers.get('vary')).toMatch(/origin/i);
      const methods = answer.headers.get('access-control-allow-methods');
      expect(methods).toContain(method === 'ALL' ? 'PUT' : method);
      for (const name of SENT)
        expect(answer.headers.get('access-control-allow-headers')).toContain(name);
    });

    // [SBP-SEC-07]
    it.for([PAGE, 'http://127.0.0.1:4000', 'https://allowed.example'])(
      'the official client of %s streams, and reads the session headers',
      async (origin) => {
        const { agent, openai } = client(origin);
        const { data, response } = await openai.chat.completions
          .create({ ...asking, stream: true }, { headers: { 'Idempotency-Key': agent.id } })
          .withResponse();
        const chunks: Chunk[] = [];
        for await (const chunk of data) chunks.push(Chunk.parse(chunk));
        const sbp = chunks.at(-1)?.sbp;
        expect(response.headers.get('x-session-token')).toBe(sbp?.session_token);
        expect(response.headers.get('x-sbp-session-id')).toBe(sbp?.session_id);
        expect(response.headers.get('x-request-id')).not.toBeNull();
        expect(await agent.session(sbp?.session_id ?? '')).toMatchObject({ step_count: 1 });
      },
    );

    // [SBP-SEC-07]
    it('the official client gets whole answers, models and errors', async () => {
      const { openai } = client(PAGE);
      const whole = Completion.parse(await openai.chat.completions.create(asking));
      expect(whole.sbp?.step_count).toBe(1);
      expect((await openai.models.list()).data).toMatchObject([{ id: 'demo' }]);
      const wrong = { ...asking, sbp: { checkpoint_every: 0 } };
      const error: unknown = await openai.chat.completions
        .create(wrong)
        .catch((thrown: unknown) => thrown);
      expect(error).toBeInstanceOf(OpenAI.BadRequestError);
      expect((error as InstanceType<typeof OpenAI.APIError>).headers?.get('x-should-retry')).toBe(
        'false',
      );
    });

    // [SBP-SEC-04] [SBP-SEC-08]
    it.for(['https://evil.example', 'null'])(
      'of %s nothing can be asked for, and nothing is begun',
      async (origin) => {
        const { agent, openai } = client(origin);
        await expect(openai.chat.completions.create(asking)).rejects.toThrow(/Connection error/);
        const url = `${server().url}/v1/chat/completions`;
        const asked = await preflight(url, origin, 'POST', SENT);
        expect(asked.status).toBe(403);
        expect(asked.headers.get('access-control-allow-private-network')).toBeNull();
        const probe = await agent.post({ model: 'm', messages: [], sbp: {} });
        expect(probe.status).toBe(404);
        const plain = { method: 'GET', headers: { origin } };
        expect((await request(`${server().url}/v1/models`, plain)).status).toBe(403);
      },
    );
  });
}
