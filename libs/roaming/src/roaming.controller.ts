import { Body, Controller, HttpCode, Param, Post, Req } from '@nestjs/common';
import type { FastifyRequest } from 'fastify';
import { SessionAccess, httpActor } from '#libs/access';
import type { ExportResponse } from '#libs/protocol';
import { ExportRequest, parseJsonBody, requireUuid } from '#libs/protocol';
import { Exports } from './exports.js';

/** `POST /v1/sbp/sessions/{id}/export`. */
@Controller('v1/sbp/sessions/:session_id')
export class RoamingController {
  constructor(
    private readonly access: SessionAccess,
    private readonly exports: Exports,
  ) {}

  @Post('export')
  @HttpCode(201)
  async export(
    @Param('session_id') id: string,
    @Body() body: Buffer | undefined,
    @Req() request: FastifyRequest,
  ): Promise<ExportResponse> {
    const sessionId = requireUuid(id, 'session_id');
    const options = parseJsonBody(body, ExportRequest);
    const credential = await this.access.authenticate(request.headers);
    const session = await this.access.authorise(sessionId, credential, 'session_id');
    return this.exports.export(sessionId, session, options, httpActor(session.principal));
  }
}
