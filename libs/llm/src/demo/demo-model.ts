import { randomUUID } from 'node:crypto';
import type { ModelRequest, ModelResponse } from '../chat-model.js';
import { ChatModel } from '../chat-model.js';
import type { ApiRequest, ModelApi } from '../model-api.js';
import { UpstreamBroken, UpstreamUnavailable } from '../upstream/upstream-errors.js';
import type { DemoAnswer, DemoChoice } from './demo-encoding.js';
import {
  DEMO_MODEL,
  demoBody,
  DemoChunks,
  DONE,
  errorBody,
  modelBody,
  modelsBody,
} from './demo-encoding.js';
import type { DemoFailure, DemoOptions } from './demo-options.js';
import type { DemoRequest } from './demo-request.js';
import { readDemoRequest } from './demo-request.js';
import { demoWords } from './demo-text.js';
import { Pacer } from './pacer.js';

/** Pieces sent without a pause before other work of the process gets its turn. */
const PIECES_PER_BREATH = 256;
const RETRY_AFTER_SECONDS = 1;

/**
 * A stand-in for a model that needs no key and no network: it says what it is, quotes what it was
 * asked, and streams at a chosen pace. Where a message tells it to, it calls tools. Its failures
 * are `DemoFailure`. `@N` counts the requests of this instance.
 */
export class DemoModel extends ChatModel implements ModelApi {
  override readonly description = 'built-in demo model (not a real LLM)';
  private readonly live = new Set<Pacer>();
  private calls = 0;
  private closed = false;

  constructor(private readonly options: DemoOptions) {
    super();
  }

  override async complete({ body, signal }: ModelRequest): Promise<ModelResponse> {
    signal.throwIfAborted();
    if (this.closed) throw new UpstreamUnavailable('the demo model is closed');
    const call = ++this.calls;
    const request = readDemoRequest(
      body instanceof Uint8Array ? body : Buffer.concat(body),
      this.options,
    );
    if (request.type === 'refused') {
      return json(400, errorBody(request.message, 'invalid_request_error', request.param, null));
    }
    const { fail, ttftMs, intervalMs } = request.options;
    const failure = fail !== null && call % fail.every === 0 ? fail : null;
    const begun = performance.now() + ttftMs;
    const pacer = this.pace(signal);
    try {
      if (failure?.type === 'refuse')
        throw new UpstreamUnavailable('the demo model refuses this call, as it was told to');
      if (failure?.type === 'hang') await pacer.forever();
      await pacer.until(begun);
      if (failure?.type === 'status') return failed(failure.status);
      const breaksAfter = failure?.type === 'break' ? failure.after : null;
      const answer = this.answer(request);
      if (request.stream) {
        return {
          status: 200,
          headers: STREAM_HEADERS,
          body: this.stream(answer, begun, breaksAfter, signal),
        };
      }
      await pacer.until(begun + new DemoChunks(answer).pieces * intervalMs);
      const whole = demoBody(answer);
      return breaksAfter === null ? json(200, whole) : { ...json(200, whole), body: half(whole) };
    } finally {
      this.release(pacer);
    }
  }

  /** It lists itself. The rest of OpenAI's API is not there, and the answer says what to do. */
  forward({ method, path, signal }: ApiRequest): Promise<ModelResponse> {
    if (signal.aborted) return Promise.reject(signal.reason as Error);
    return Promise.resolve(demoApi(method, path.split('?', 1)[0] ?? path));
  }

  override close(): Promise<void> {
    this.closed = true;
    for (const pacer of this.live) pacer.stop(new UpstreamBroken('the demo model was closed'));
    return Promise.resolve();
  }

  private answer(request: DemoRequest): DemoAnswer {
    const random = request.options.vary ? Math.random : null;
    return {
      id: `chatcmpl-demo-${randomUUID()}`,
      created: Math.floor(Date.now() / 1000),
      request,
      choices: Array.from({ length: request.choices }, (_, choice) =>
        choiceOf(request, choice, random),
      ),
    };
  }

  private async *stream(
    answer: DemoAnswer,
    begun: number,
    breaksAfter: number | null,
    signal: AbortSignal,
  ): AsyncGenerator<Uint8Array, void, undefined> {
    const { choices, request } = answer;
    const { intervalMs } = request.options;
    const chunks = new DemoChunks(answer);
    const count = chunks.pieces;
    const pacer = this.pace(signal);
    try {
      for (const choice of choices.keys()) yield chunks.role(choice);
      for (let at = 0; at < count && at !== breaksAfter; at++) {
        pacer.check();
        if (intervalMs > 0) await pacer.until(begun + at * intervalMs);
        else if (at % PIECES_PER_BREATH === PIECES_PER_BREATH - 1) await pacer.breathe();
        for (const choice of choices.keys()) yield chunks.piece(choice, at);
      }
      pacer.check();
      if (breaksAfter !== null)
        throw new UpstreamBroken('the demo model broke off, as it was told to');
      for (const choice of choices.keys()) yield chunks.finish(choice);
      if (request.includeUsage) yield chunks.usage();
      yield DONE;
    } finally {
      this.release(pacer);
    }
  }

  private pace(signal: AbortSignal): Pacer {
    const pacer = new Pacer(signal);
    this.live.add(pacer);
    return pacer;
  }

  private release(pacer: Pacer): void {
    pacer.end();
    this.live.delete(pacer);
  }
}

/** A text that the cap cuts ends there, and nothing is called. */
function choiceOf(request: DemoRequest, choice: number, random: (() => number) | null): DemoChoice {
  const { words, cut } = demoWords(request, choice, random);
  if (cut) return { words, calls: [], finishReason: 'length' };
  if (request.calls.length === 0) return { words, calls: [], finishReason: 'stop' };
  const calls = request.calls.map(({ tool, input }) => ({
    id: `call_demo_${randomUUID()}`,
    type: 'function' as const,
    function: { name: tool, arguments: input },
  }));
  return { words, calls, finishReason: 'tool_calls' };
}

const STREAM_HEADERS = {
  'content-type': 'text/event-stream; charset=utf-8',
  'cache-control': 'no-cache',
};

function json(status: number, body: Uint8Array): ModelResponse {
  const headers = { 'content-type': 'application/json', 'content-length': String(body.length) };
  return { status, headers, body: whole(body) };
}

function demoApi(method: string, path: string): ModelResponse {
  const reads = method === 'GET' || method === 'HEAD';
  if (reads && path === '/models') return json(200, modelsBody());
  if (reads && path === `/models/${DEMO_MODEL}`) return json(200, modelBody());
  return json(
    404,
    errorBody(
      `The built-in demo model has no ${method} ${path.slice(0, 200)}. Set SBP_LLM_BASE_URL, and ` +
        'the request goes to the API behind it.',
      'invalid_request_error',
      null,
      'unknown_url',
    ),
  );
}

function failed(status: Extract<DemoFailure, { type: 'status' }>['status']): ModelResponse {
  const type =
    status === 429 ? 'rate_limit_error' : status < 500 ? 'invalid_request_error' : 'server_error';
  const response = json(
    status,
    errorBody(`The demo model answers ${status}, as it was told to.`, type, null, null),
  );
  if (status !== 429) return response;
  return {
    ...response,
    headers: { ...response.headers, 'retry-after': String(RETRY_AFTER_SECONDS) },
  };
}

// eslint-disable-next-line @typescript-eslint/require-await -- a body is asynchronous, though this one is here already
async function* whole(body: Uint8Array): AsyncGenerator<Uint8Array, void, undefined> {
  yield body;
}

async function* half(body: Uint8Array): AsyncGenerator<Uint8Array, void, undefined> {
  yield* whole(body.subarray(0, body.length >> 1));
  throw new UpstreamBroken('the demo model broke off, as it was told to');
}
