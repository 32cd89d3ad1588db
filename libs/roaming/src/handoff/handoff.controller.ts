import { SessionAccess } from '#libs/access';
import type { HandoffResponse } from '#libs/protocol';
import { HandoffRequest, parseJsonBody, requireUuid } from '#libs/protocol';
import { Body, Controller, HttpCode, Param, Post, Req } from '@nestjs/common';
import type { FastifyRequest } from 'fastify';
import { newSession } from '../opening/derived-ids.js';
import { Handoffs } from './handoffs.js';

/** `POST /v1/sbp/sessions/{id}/handoff`. */
@Controller('v1/sbp/sessions/:session_id')
export class HandoffController {
  constructor(
    private readonly access: SessionAccess,
    private readonly handoffs: Handoffs,
  ) {}

  @Post('handoff')
  @HttpCode(201)
  async handOff(
    @Param('session_id') id: string,
    @Body() body: Buffer | undefined,
    @Req() request: FastifyRequest,
  ): Promise<HandoffResponse> {
    const sessionId = requireUuid(id, 'session_id');
    const asked = parseJsonBody(body, HandoffRequest);
    const { session, by } = await this.access.use(sessionId, request.headers);
    const target = newSession(request.headers, ['handoff', sessionId], body);
    return this.handoffs.handOff({ sessionId, session, request: asked, target, by });
  }
}
