import type { ServerResponse } from 'node:http';
import { pipeline } from 'node:stream/promises';
import { Injectable } from '@nestjs/common';
import { ChatModel } from '#libs/llm';
import { beginResponse } from './begin-response.js';
import { modelUnavailable } from '../model/model-unavailable.js';

/** A request that is not tracked: the model's answer, byte by byte, and nothing added. */
@Injectable()
export class PassThrough {
  constructor(private readonly model: ChatModel) {}

  /**
   * Ends the response, once `takeOver` has taken it from the framework.
   * @throws SbpError SBP_UPSTREAM_UNAVAILABLE before anything was written
   */
  async run(
    body: Buffer,
    response: ServerResponse,
    prepared: Readonly<Record<string, string>>,
    takeOver: () => void,
  ): Promise<void> {
    const abort = new AbortController();
    response.on('close', () => {
      if (!response.writableFinished) abort.abort(new Error('the caller went away'));
    });
    const head = await this.model
      .complete({ body, signal: abort.signal })
      .catch((error: unknown) => {
        throw modelUnavailable(error, { begun: false });
      });
    takeOver();
    beginResponse(response, head.status, { ...head.headers, ...prepared });
    try {
      await pipeline(head.body, response, { end: false });
      response.end();
    } catch {
      // A broken answer breaks the caller's connection, too, after what came of it; that may still
      // be held back.
      if (response.writableCorked > 0) response.uncork();
      response.socket?.destroySoon();
    }
  }
}
