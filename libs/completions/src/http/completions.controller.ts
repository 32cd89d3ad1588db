import { Body, Controller, HttpStatus, Post, Req, Res } from '@nestjs/common';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { HEADERS, SbpError } from '#libs/protocol';
import { isOutage } from '#libs/sql';
import { HttpCaller } from './http-caller.js';
import { PassThrough } from './pass-through.js';
import { preparedHeaders } from './prepared-headers.js';
import { RequestReader } from './request-reader.js';
import { Probes } from '../claim/probes.js';
import { CompletionsOptions } from '../completions-options.js';
import { TurnService } from '../turn/turn-service.js';

/**
 * `POST /v1/chat/completions`: OpenAI's Chat Completions, stateful where the request asks for it.
 */
@Controller('v1/chat/completions')
export class CompletionsController {
  constructor(
    private readonly reader: RequestReader,
    private readonly passThrough: PassThrough,
    private readonly probes: Probes,
    private readonly turns: TurnService,
    private readonly options: CompletionsOptions,
  ) {}

  @Post()
  async complete(
    @Body() body: Buffer | undefined,
    @Req() request: FastifyRequest,
    @Res() reply: FastifyReply,
  ): Promise<void> {
    const read = await this.reader.read(request.headers, body);
    if (read.type === 'pass-through') {
      await this.passThrough.complete(read.body, reply);
      return;
    }
    if (read.type === 'probe') {
      const sbp = await this.probes.answer(read.probe);
      void reply
        .status(HttpStatus.ACCEPTED)
        .headers({ [HEADERS.sessionToken]: sbp.session_token, [HEADERS.sessionId]: sbp.session_id })
        .send({ sbp });
      return;
    }
    // From here on the answer is written by hand: what was prepared (CORS) goes along.
    reply.hijack();
    const caller = new HttpCaller(reply.raw, preparedHeaders(reply));
    try {
      await this.turns.run(read.request, caller);
    } catch (error) {
      if (!(error instanceof SbpError)) this.options.onProblem('a turn failed', error);
      await caller.fail(toldOf(error), null);
    }
  }
}

function toldOf(error: unknown): SbpError {
  if (error instanceof SbpError) return error;
  return isOutage(error)
    ? new SbpError('SBP_UPSTREAM_UNAVAILABLE', 'The storage is not available at the moment.', {
        retryAfter: 1,
        cause: error,
      })
    : new SbpError('SBP_INTERNAL', 'The server failed.', { cause: error });
}
