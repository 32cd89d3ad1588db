import { randomUUID } from 'node:crypto';
import OpenAI from 'openai';
import type {
  ChatCompletionCreateParamsNonStreaming,
  ChatCompletionCreateParamsStreaming,
} from 'openai/resources';
import { describe, expect, it } from 'vitest';
import type { Headings } from '../clients/agent.js';
import { Agent, request, saidIn, steered } from '../clients/agent.js';
import { Chunk, Completion, textOf } from '../clients/bodies.js';
import { openaiFor } from '../clients/openai.js';
import { worthlessTokens } from '../clients/tokens.js';
import { eventually } from '../clients/waiting.js';
import type { GetServer } from '../topology/server.js';

const asking = (content: string) => ({
  model: 'gpt-4o',
  messages: [{ role: 'user' as const, content }],
});

/** What the client's types do not know, as its users write it. */
const plain = (content: string, more: object = {}): ChatCompletionCreateParamsNonStreaming => ({
  ...asking(content),
  ...more,
});
const streamed = (content: string, more: object = {}): ChatCompletionCreateParamsStreaming => ({
  ...asking(content),
  stream: true,
  ...more,
});

export function openaiClient(server: GetServer): void {
  /** The client as its users make it, and the agent that it speaks for. */
  function client(headers: Headings = {}) {
    const agent = new Agent(server().url);
    return { agent, completions: openaiFor(agent, headers).chat.completions };
  }

  async function fault(promise: PromiseLike<unknown>): Promise<unknown> {
    return promise.then(
      () => 'nothing was thrown',
      (error: unknown) => error,
    );
  }

  describe('§3 the unmodified openai client', () => {
    // [SBP-L1-01]
    it('gets a plain completion, and nothing added', async () => {
      const { completions } = client();
      const { data, response } = await completions.create(plain('Hello.')).withResponse();
      expect(data.choices[0]?.message.content).toContain('“Hello.”');
      expect(data.usage?.completion_tokens).toBe(30);
      expect('sbp' in data).toBe(false);
      expect(response.headers.get('x-session-token')).toBeNull();
    });

    it('gets a plain stream, and nothing added', async () => {
      const { completions } = client();
      let text = '';
      for await (const chunk of await completions.create(streamed('Hello.'))) {
        expect('sbp' in chunk).toBe(false);
        text += chunk.choices[0]?.delta.content ?? '';
      }
      expect(text).toContain('“Hello.”');
    });

    it('gets a stateful completion, and reads sbp and the token', async () => {
      const { agent, completions } = client();
      const { data, response } = await completions
        .create(plain('Hello.', { sbp: {} }))
        .withResponse();
      const { sbp } = Completion.parse(data);
      expect(sbp?.step_count).toBe(1);
      expect(response.headers.get('x-session-token')).toBe(sbp?.session_token);
      const next = Completion.parse(await completions.create(plain('Go on.', { sbp: {} })));
      expect(next.sbp).toMatchObject({ session_id: sbp?.session_id, step_count: 2 });
      expect(saidIn(await agent.messages(sbp?.session_id ?? ''))[3]).toBe(
        `assistant: ${textOf(next)}`,
      );
    });

    it('gets a stateful stream, and reads sbp and the token', async () => {
      const { agent, completions } = client();
      const { data, response } = await completions
        .create(streamed('Hello.', { sbp: {} }))
        .withResponse();
      const chunks: Chunk[] = [];
      for await (const chunk of data) chunks.push(Chunk.parse(chunk));
      const sbp = chunks.at(-1)?.sbp;
      expect(response.headers.get('x-session-token')).toBe(sbp?.session_token);
      expect(response.headers.get('x-sbp-session-id')).toBe(sbp?.session_id);
      expect(chunks.filter((chunk) => 'usage' in chunk)).toEqual([]);
      const text = chunks.map(({ choices }) => choices[0]?.delta.content ?? '').join('');
      expect(saidIn(await agent.messages(sbp?.session_id ?? ''))).toEqual([
        'user: Hello.',
        `assistant: ${text}`,
      ]);
    });

    it('puts a stateful stream together by its own helper', async () => {
      const { agent, completions } = client();
      const params = streamed('Hello.', { sbp: {}, stream_options: { include_usage: true } });
      const stream = completions.stream(params);
      const completion = await stream.finalChatCompletion();
      expect(completion.choices[0]).toMatchObject({
        finish_reason: 'stop',
        message: { role: 'assistant' },
      });
      expect(completion.usage).toMatchObject({ prompt_tokens: 1, completion_tokens: 30 });
      const { sbp } = await agent.turn('Go on.');
      expect(saidIn(await agent.messages(sbp.session_id))[1]).toBe(
        `assistant: ${completion.choices[0]?.message.content ?? ''}`,
      );
    });

    // [SBP-L1-10]
    it('continues by the token as one of its default headers, without an sbp object', async () => {
      const first = await client().completions.create(plain('Hello.', { sbp: {} }));
      const { sbp } = Completion.parse(first);
      const { completions } = client({ 'X-Session-Token': sbp?.session_token ?? '' });
      const next = Completion.parse(await completions.create(plain('Go on.')));
      expect(next.sbp).toMatchObject({ session_id: sbp?.session_id, step_count: 2 });
    });

    // [SBP-L1-02]
    it.for([null, {}] as const)('has its other fields passed through (sbp: %o)', async (sbp) => {
      const more = {
        temperature: 0.5,
        top_p: 0.9,
        metadata: { a: 'b' },
        provider_option: { deep: [1] },
        sbp,
      };
      const { demo } = Completion.parse(await client().completions.create(plain('Hello.', more)));
      expect(demo?.fields).toEqual(
        expect.arrayContaining(['temperature', 'top_p', 'metadata', 'provider_option']) as unknown,
      );
      expect(demo?.fields).not.toContain('sbp');
    });

    it('gets several choices', async () => {
      const { completions } = client();
      const { choices } = await completions.create(plain('Hello.', { n: 3, sbp: {} }));
      expect(choices.map(({ index }) => index)).toEqual([0, 1, 2]);
    });

    it('caps the answer', async () => {
      const { completions } = client();
      const { choices } = await completions.create(
        plain('Hello.', { max_completion_tokens: 4, sbp: {} }),
      );
      expect(choices[0]).toMatchObject({
        finish_reason: 'length',
        message: { content: "I am StateBridge's built-in" },
      });
    });

    // [SBP-ERR-06]
    it.for([
      [
        'a bad field',
        { sbp: { checkpoint_every: 0 } },
        OpenAI.BadRequestError,
        400,
        'SBP_INVALID_REQUEST',
      ],
      [
        'a bad UUID',
        { sbp: { session_id: 'x' } },
        OpenAI.UnprocessableEntityError,
        422,
        'SBP_INVALID_UUID',
      ],
      [
        'an unknown session',
        { sbp: { session_id: randomUUID() } },
        OpenAI.NotFoundError,
        404,
        'SBP_SESSION_NOT_FOUND',
      ],
    ] as const)('throws the right exception for %s', async ([, more, type, status, code]) => {
      const { completions } = client();
      for (const params of [plain('Hello.', more), streamed('Hello.', more)]) {
        const error = await fault(completions.create(params));
        expect(error).toBeInstanceOf(type);
        expect(error).toMatchObject({ status, code, type: 'invalid_request_error' });
      }
    });

    // [SBP-ERR-06] [SBP-SEC-01]
    it('throws the right exceptions for a worthless token, and for one of another session', async () => {
      const { sbp } = await new Agent(server().url).turn('Hello.');
      const { sbp: other } = await new Agent(server().url).turn('Hello.');
      for (const token of Object.values(worthlessTokens(sbp.session_id))) {
        const error = await fault(
          client({ 'X-Session-Token': token }).completions.create(plain('Mine?')),
        );
        expect(error).toBeInstanceOf(OpenAI.AuthenticationError);
      }
      const foreign = client({ 'X-Session-Token': other.session_token }).completions;
      const error = await fault(
        foreign.create(plain('Mine?', { sbp: { session_id: sbp.session_id } })),
      );
      expect(error).toBeInstanceOf(OpenAI.PermissionDeniedError);
    });

    // [SBP-ERR-06] [SBP-L1-05]
    it.for([null, {}] as const)("throws the model's own exceptions (sbp: %o)", async (sbp) => {
      const { completions } = client();
      const failing = (how: string) =>
        fault(completions.create(plain(steered(`fail=${how}`, 'Hello.'), { sbp })));
      expect(await failing('status:429')).toBeInstanceOf(OpenAI.RateLimitError);
      expect(await failing('status:401')).toBeInstanceOf(OpenAI.AuthenticationError);
      expect(await failing('status:500')).toBeInstanceOf(OpenAI.InternalServerError);
      const refused = await failing('refuse');
      expect(refused).toBeInstanceOf(OpenAI.InternalServerError);
      expect(refused).toMatchObject({ status: 503, code: 'SBP_UPSTREAM_UNAVAILABLE' });
    });

    // [SBP-ERR-06] [SBP-L1-70]
    it('throws the right exception where its turn is cancelled', async () => {
      const { agent, completions } = client();
      const { sbp } = await agent.turn('Hello.');
      const asking = fault(completions.create(plain(steered('ttft=60000', 'Go on.'), { sbp: {} })));
      await eventually(async () => {
        expect((await agent.session(sbp.session_id)).turn_in_flight).not.toBeNull();
      });
      await request(`${agent.url}/v1/sbp/sessions/${sbp.session_id}/cancel`, { method: 'POST' });
      const error = await asking;
      expect(error).toBeInstanceOf(OpenAI.ConflictError);
      expect(error).toMatchObject({ status: 409, code: 'SBP_TURN_CANCELLED' });
    });

    it('throws in the middle of a stream that breaks off', async () => {
      const { completions } = client();
      const stream = await completions.create(
        streamed(steered('fail=break:3', 'Hello.'), { sbp: {} }),
      );
      let text = '';
      const reading = async (): Promise<void> => {
        for await (const chunk of stream) text += chunk.choices[0]?.delta.content ?? '';
      };
      const error = await fault(reading());
      expect(error).toBeInstanceOf(OpenAI.APIError);
      expect(error).toMatchObject({ code: 'SBP_UPSTREAM_UNAVAILABLE' });
      expect(text.split(' ')).toHaveLength(3);
    });
  });
}
