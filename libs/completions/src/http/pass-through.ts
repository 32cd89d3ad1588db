import type { IncomingMessage } from 'node:http';
import { PassThrough as PassThroughStream } from 'node:stream';
import type { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { Injectable } from '@nestjs/common';
import type { FastifyReply } from 'fastify';
import type { ModelResponse } from '#libs/llm';
import { ChatModel, ModelApi } from '#libs/llm';
import { within } from '#libs/timing';
import { CompletionsOptions } from '../completions-options.js';
import { modelUnavailable } from '../model/model-unavailable.js';
import { beginResponse } from './begin-response.js';
import { preparedHeaders } from './prepared-headers.js';

/** What is not tracked: the model's answer, byte by byte, and nothing added. */
@Injectable()
export class PassThrough {
  constructor(
    private readonly model: ChatModel,
    private readonly api: ModelApi,
    private readonly options: CompletionsOptions,
  ) {}

  /**
   * Answers a request for a completion.
   * @throws SbpError SBP_UPSTREAM_UNAVAILABLE before anything was written
   */
  async complete(body: Buffer, reply: FastifyReply): Promise<void> {
    await this.relay(reply, (signal) => this.model.complete({ body, signal }));
  }

  /**
   * Answers any other request for the model's API; `path` is below its base URL, with the query.
   * The body is read as the model takes it.
   * @throws SbpError SBP_UPSTREAM_UNAVAILABLE before anything was written
   */
  async forward(request: IncomingMessage, path: string, reply: FastifyReply): Promise<void> {
    const { method = 'GET' } = request;
    const call = { method, path, headers: headersOf(request), body: bodyOf(request) };
    await this.relay(reply, (signal) => this.api.forward({ ...call, signal }));
  }

  private async relay(
    reply: FastifyReply,
    call: (signal: AbortSignal) => Promise<ModelResponse>,
  ): Promise<void> {
    const response = reply.raw;
    const abort = new AbortController();
    response.on('close', () => {
      if (!response.writableFinished) abort.abort(new Error('the caller went away'));
    });
    const head = await call(abort.signal).catch((error: unknown) => {
      throw modelUnavailable(error, { begun: false });
    });
    reply.hijack();
    beginResponse(response, head.status, answerHeaders(head, preparedHeaders(reply)));
    try {
      await pipeline(head.body, response, { end: false });
      await sentWhole(reply.request.raw);
      response.end();
    } catch (error) {
      if (!abort.signal.aborted) this.options.onModelFault(error);
      // A broken answer breaks the caller's connection, too, after what came of it; that may still
      // be held back.
      if (response.writableCorked > 0) response.uncork();
      response.socket?.destroySoon();
    }
  }
}

/** How long the rest of a body is waited for that the model did not want to read, in ms. */
const READ_ON_MS = 10_000;

/**
 * Waits until the caller has sent all of its body: if its connection ended before, it would see a
 * reset, and could lose the answer, all of which it has been sent by now.
 */
async function sentWhole(request: IncomingMessage): Promise<void> {
  if (request.complete || request.destroyed) return;
  const { promise, resolve } = Promise.withResolvers<null>();
  request.once('end', () => resolve(null)).once('close', () => resolve(null));
  await within(promise, READ_ON_MS);
}

/** `Vary` is what the model and we say together; of other headers ours win. */
function answerHeaders(
  { headers }: ModelResponse,
  prepared: Readonly<Record<string, string>>,
): Record<string, string> {
  const vary = [headers['vary'], prepared['vary']].filter((each) => each !== undefined);
  return { ...headers, ...prepared, ...(vary.length === 0 ? {} : { vary: vary.join(', ') }) };
}

function headersOf({ headers }: IncomingMessage): Record<string, string> {
  return Object.fromEntries(
    Object.entries(headers).flatMap(([name, value]) =>
      value === undefined ? [] : [[name, Array.isArray(value) ? value.join(', ') : value]],
    ),
  );
}

function bodyOf(request: IncomingMessage): AsyncIterable<Uint8Array> | null {
  const { headers } = request;
  const isThere =
    headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) > 0;
  return isThere ? leavable(request) : null;
}

/**
 * The body behind a stream that may be destroyed at any time: the caller's connection outlives it,
 * because the answer is still to come, and the rest of the body is read and dropped.
 */
function leavable(request: IncomingMessage): Readable {
  const body = new PassThroughStream();
  request.on('error', (error) => body.destroy(error));
  body.on('error', () => undefined).on('close', () => request.unpipe(body).resume());
  return request.pipe(body);
}
