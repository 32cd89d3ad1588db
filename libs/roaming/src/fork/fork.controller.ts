import { SessionAccess } from '#libs/access';
import type { ForkResponse } from '#libs/protocol';
import { ForkRequest, parseJsonBody, requireUuid } from '#libs/protocol';
import { Body, Controller, HttpCode, Param, Post, Req } from '@nestjs/common';
import type { FastifyRequest } from 'fastify';
import { newSession } from '../opening/derived-ids.js';
import { Forks } from './forks.js';

/** `POST /v1/sbp/sessions/{id}/fork`. */
@Controller('v1/sbp/sessions/:session_id')
export class ForkController {
  constructor(
    private readonly access: SessionAccess,
    private readonly forks: Forks,
  ) {}

  @Post('fork')
  @HttpCode(201)
  async fork(
    @Param('session_id') id: string,
    @Body() body: Buffer | undefined,
    @Req() request: FastifyRequest,
  ): Promise<ForkResponse> {
    const sessionId = requireUuid(id, 'session_id');
    const asked = parseJsonBody(body, ForkRequest);
    const { session, by } = await this.access.use(sessionId, request.headers);
    const target = newSession(request.headers, ['fork', sessionId], body);
    return this.forks.fork({ sessionId, session, request: asked, target, by });
  }
}
