import { Controller, Get, Param, Req, Res } from '@nestjs/common';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { SessionAccess, turnNotFound } from '#libs/access';
import { SbpError, isUuid, requireUuid } from '#libs/protocol';
import { SessionReads } from '#libs/store';
import { CompletionsOptions } from '../completions-options.js';
import { beginResponse } from './begin-response.js';
import { preparedHeaders } from './prepared-headers.js';
import type { Place } from './turn-stream.js';
import { TurnFollowers } from './turn-followers.js';
import { TurnStream } from './turn-stream.js';

/** `GET /v1/sbp/sessions/{id}/turns/{turn_id}/stream`. */
@Controller('v1/sbp/sessions/:session_id/turns/:turn_id')
export class TurnStreamController {
  constructor(
    private readonly access: SessionAccess,
    private readonly reads: SessionReads,
    private readonly followers: TurnFollowers,
    private readonly options: CompletionsOptions,
  ) {}

  @Get('stream')
  async stream(
    @Param('session_id') session: string,
    @Param('turn_id') turn: string,
    @Req() request: FastifyRequest,
    @Res() reply: FastifyReply,
  ): Promise<void> {
    const sessionId = requireUuid(session, 'session_id');
    const turnId = requireUuid(turn, 'turn_id');
    const at = placeOf(request.headers['last-event-id']);
    const credential = await this.access.authenticate(request.headers);
    await this.access.authorise(sessionId, credential, 'session_id');
    const found = await this.reads.turn(sessionId, turnId);
    if (found === null) throw turnNotFound(turnId);
    const prepared = preparedHeaders(reply);
    reply.hijack();
    const stream = new TurnStream(sessionId, found, at, reply.raw);
    beginResponse(reply.raw, 200, {
      ...prepared,
      'content-type': 'text/event-stream; charset=utf-8',
      'cache-control': 'no-cache',
      'x-accel-buffering': 'no',
    });
    try {
      await stream.run(this.followers);
    } catch (error) {
      // The head has left: what is missing is asked for by `Last-Event-ID`.
      this.options.onProblem('a stream of a turn broke off', error);
      reply.raw.destroy();
    }
  }
}

/** Null for nothing. @throws SbpError SBP_INVALID_REQUEST */
function placeOf(header: string | readonly string[] | undefined): Place | null {
  if (header === undefined || header === '') return null;
  const [, chunkId = '', count = ''] = /^([^:]{36}):(\d{1,15})$/.exec(String(header)) ?? [];
  if (isUuid(chunkId)) return { chunkId, codePoints: Number(count) };
  throw new SbpError(
    'SBP_INVALID_REQUEST',
    'Last-Event-ID: is not the id of an event of such a stream, <chunk_id>:<code points>.',
    { param: 'Last-Event-ID' },
  );
}
