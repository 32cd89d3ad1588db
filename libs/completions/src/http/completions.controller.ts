import { Body, Controller, HttpStatus, Post, Req, Res } from '@nestjs/common';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { outageRefusal } from '#libs/event-log';
import { HEADERS, SbpError } from '#libs/protocol';
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
      const told = toldOf(error);
      if (told !== error) {
        const isForeseen = told.code !== 'SBP_INTERNAL';
        this.options.onProblem(isForeseen ? 'a turn could not be served' : 'a turn failed', error);
      }
      await caller.fail(told, null);
    }
  }
}

function toldOf(error: unknown): SbpError {
  if (error instanceof SbpError) return error;
  const message = 'The server failed.';
  return outageRefusal(error) ?? new SbpError('SBP_INTERNAL', message, { cause: error });
}
