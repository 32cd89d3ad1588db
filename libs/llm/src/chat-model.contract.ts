import { afterEach, describe, expect, it } from 'vitest';
import type { ChatModel, ModelResponse } from './chat-model.js';
import { CompletionAccumulator, parseChunk } from './completion/completion-stream.js';
import { readCompletion } from './completion/completion-body.js';
import type { DemoOptions } from './demo/demo-options.js';
import { readSseEvents } from './completion/sse-events.js';
import { UpstreamBroken, UpstreamUnavailable } from './upstream/upstream-errors.js';

const FAST: DemoOptions = { ttftMs: 0, tokens: 12, intervalMs: 0, vary: false, fail: null };

/** What every `ChatModel` does, shown with the demo model's behaviour behind it. */
export function describeChatModel(
  open: (options: DemoOptions) => Promise<{ model: ChatModel; close(): Promise<void> }>,
): void {
  describe('a chat model', () => {
    let close: (() => Promise<void>) | null = null;
    afterEach(async () => {
      await close?.();
      close = null;
    });
    async function start(options: Partial<DemoOptions> = {}): Promise<ChatModel> {
      const opened = await open({ ...FAST, ...options });
      close = () => opened.close();
      return opened.model;
    }

    it('answers in one body', async () => {
      const response = await (await start()).complete(request({}));
      expect(response.status).toBe(200);
      expect(response.headers['content-type']).toBe('application/json');
      const { message, usage, model } = readCompletion(JSON.parse(await textOf(response)));
      expect(message.content).toBe(
        "I am StateBridge's built-in demo model, not a real LLM. You sent",
      );
      expect(usage).toMatchObject({ prompt_tokens: 2, completion_tokens: 12 });
      expect(model).toBe('some/model');
    });

    it('takes a body in pieces as it takes it whole', async () => {
      const model = await start();
      const { body, signal } = request({});
      const pieces = [body.subarray(0, 7), body.subarray(7, 7), body.subarray(7)];
      const [whole, parted] = await Promise.all([
        model.complete({ body, signal }).then(textOf),
        model.complete({ body: pieces, signal }).then(textOf),
      ]);
      const contentOf = (text: string): unknown => {
        const { choices } = JSON.parse(text) as { choices: [{ message: { content: string } }] };
        return choices[0].message.content;
      };
      expect(contentOf(parted)).toBe(contentOf(whole));
    });

    it('streams the same answer', async () => {
      const response = await (
        await start()
      ).complete(request({ stream: true, stream_options: { include_usage: true } }));
      expect(response.headers['content-type']).toMatch(/^text\/event-stream/);
      const answer = new CompletionAccumulator();
      const ends: string[] = [];
      for await (const { data } of readSseEvents(response.body)) {
        if (data === '[DONE]') ends.push(data);
        else answer.accept(parseChunk(data));
      }
      expect(ends).toEqual(['[DONE]']);
      expect(answer.text).toBe("I am StateBridge's built-in demo model, not a real LLM. You sent");
      expect(answer.usage).toMatchObject({ prompt_tokens: 2, completion_tokens: 12 });
      expect(answer.finishReason).toBe('stop');
    });

    it('passes an error status on with its body and headers', async () => {
      const response = await (
        await start({ fail: { type: 'status', status: 429, every: 1 } })
      ).complete(request({}));
      expect(response.status).toBe(429);
      expect(response.headers['retry-after']).toBe('1');
      expect(JSON.parse(await textOf(response))).toMatchObject({
        error: { type: 'rate_limit_error' },
      });
    });

    it('rejects with UpstreamUnavailable when no head comes', async () => {
      const model = await start({ fail: { type: 'refuse', every: 1 } });
      await expect(model.complete(request({}))).rejects.toBeInstanceOf(UpstreamUnavailable);
    });

    it('throws UpstreamBroken from the body when a stream breaks off, after what had come', async () => {
      const model = await start({ fail: { type: 'break', after: 3, every: 1 } });
      const response = await model.complete(request({ stream: true }));
      let text = '';
      const reading = (async () => {
        for await (const { data } of readSseEvents(response.body)) {
          text += new CompletionAccumulator().accept(parseChunk(data)).delta;
        }
      })();
      await expect(reading).rejects.toBeInstanceOf(UpstreamBroken);
      expect(text).toBe("I am StateBridge's");
    });

    it('throws UpstreamBroken from the body when a whole answer breaks off', async () => {
      const model = await start({ fail: { type: 'break', after: 0, every: 1 } });
      const response = await model.complete(request({}));
      await expect(textOf(response)).rejects.toBeInstanceOf(UpstreamBroken);
    });

    it('rejects with the reason when it was aborted before the call', async () => {
      const model = await start();
      const reason = new Error('too late');
      await expect(model.complete(request({}, AbortSignal.abort(reason)))).rejects.toBe(reason);
    });

    it('rejects with the reason when it is aborted while it waits for the head', async () => {
      const model = await start({ fail: { type: 'hang', every: 1 } });
      const caller = new AbortController();
      const reason = new Error('gone');
      const call = model.complete(request({}, caller.signal));
      setImmediate(() => caller.abort(reason));
      await expect(call).rejects.toBe(reason);
    });

    it('throws the reason from the body when it is aborted in mid-stream', async () => {
      const model = await start({ intervalMs: 60_000 });
      const caller = new AbortController();
      const reason = new Error('gone');
      const response = await model.complete(request({ stream: true }, caller.signal));
      const reading = (async () => {
        for await (const bytes of response.body)
          if (bytes.length > 0) setImmediate(() => caller.abort(reason));
      })();
      await expect(reading).rejects.toBe(reason);
    });

    it('breaks off what is under way when it is closed, and refuses later calls', async () => {
      const model = await start({ intervalMs: 60_000 });
      const response = await model.complete(request({ stream: true }));
      const reading = (async () => {
        for await (const bytes of response.body) if (bytes.length > 0) await model.close();
      })();
      await expect(reading).rejects.toBeInstanceOf(UpstreamBroken);
      await expect(model.complete(request({}))).rejects.toBeInstanceOf(UpstreamUnavailable);
    });
  });
}

function request(
  fields: Readonly<Record<string, unknown>>,
  signal = new AbortController().signal,
): { body: Uint8Array; signal: AbortSignal } {
  const body = {
    model: 'some/model',
    messages: [{ role: 'user', content: 'Hello there' }],
    ...fields,
  };
  return { body: Buffer.from(JSON.stringify(body)), signal };
}

async function textOf(response: ModelResponse): Promise<string> {
  const parts: Uint8Array[] = [];
  for await (const part of response.body) parts.push(part);
  return Buffer.concat(parts).toString();
}
