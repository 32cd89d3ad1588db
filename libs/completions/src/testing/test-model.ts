import type { ModelRequest, ModelResponse } from '#libs/llm';
import { ChatModel } from '#libs/llm';
import type { Message } from '#libs/protocol';

/** What a test cares about in a body that went to the model. */
export interface AskedBody {
  readonly model: string;
  readonly messages: readonly Message[];
}

/** A model that a test answers for, and that remembers what it was asked. */
export class TestModel extends ChatModel {
  override readonly description = 'a test answers';
  readonly asked: AskedBody[] = [];
  answer: (request: ModelRequest) => Promise<ModelResponse> = () => answerWith('An answer.');

  override complete(request: ModelRequest): Promise<ModelResponse> {
    const { body } = request;
    const whole = body instanceof Uint8Array ? body : Buffer.concat(body);
    this.asked.push(JSON.parse(Buffer.from(whole).toString()) as AskedBody);
    return this.answer(request);
  }

  override close(): Promise<void> {
    return Promise.resolve();
  }
}

/** A whole answer; with several texts, of as many choices. */
export function answerWith(...texts: readonly string[]): Promise<ModelResponse> {
  const choices = texts.map((content, index) => {
    return { index, message: { role: 'assistant', content }, finish_reason: 'stop' };
  });
  return json(200, { model: 'm-1', choices });
}

/** An answer that calls these functions, each with nothing. */
export function callWith(...names: readonly string[]): Promise<ModelResponse> {
  const tool_calls = names.map((name, at) => {
    return { id: `m-${at}`, type: 'function', function: { name, arguments: '{}' } };
  });
  const message = { role: 'assistant', content: 'Let me see. ', tool_calls };
  const choices = [{ index: 0, message, finish_reason: 'tool_calls' }];
  return json(200, { model: 'm-1', choices });
}

/** An error of the provider. */
export function refuseWith(status: number): Promise<ModelResponse> {
  return json(status, { error: { message: 'no' } });
}

/** Never answers, until the call is aborted. */
export function neverAnswer({ signal }: ModelRequest): Promise<ModelResponse> {
  return new Promise((_resolve, reject) => {
    signal.addEventListener('abort', () => reject(signal.reason as Error));
  });
}

/** A stream that says these words, and then nothing until the call is aborted. */
export function streamWith(
  signal: AbortSignal,
  ...words: readonly string[]
): Promise<ModelResponse> {
  async function* parts() {
    for (const content of words) {
      const choices = [{ index: 0, delta: { content }, finish_reason: null }];
      yield Buffer.from(`data: ${JSON.stringify({ model: 'm-1', choices })}\n\n`);
    }
    await new Promise((_resolve, reject) => {
      signal.addEventListener('abort', () => reject(signal.reason as Error));
    });
  }
  const headers = { 'content-type': 'text/event-stream' };
  return Promise.resolve({ status: 200, headers, body: parts() });
}

function json(status: number, body: object): Promise<ModelResponse> {
  async function* parts() {
    await Promise.resolve();
    yield Buffer.from(JSON.stringify(body));
  }
  const headers = { 'content-type': 'application/json' };
  return Promise.resolve({ status, headers, body: parts() });
}
