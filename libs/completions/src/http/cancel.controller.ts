import { Body, Controller, HttpCode, Param, Post, Req } from '@nestjs/common';
import type { FastifyRequest } from 'fastify';
import { SessionAccess } from '#libs/access';
import type { CancelResponse } from '#libs/protocol';
import { CancelRequest, parseJsonBody, requireUuid } from '#libs/protocol';
import { Admission } from '../claim/admission.js';
import { Cancellation } from '../turn/cancellation.js';

/** `POST /v1/sbp/sessions/{id}/cancel`. */
@Controller('v1/sbp/sessions/:session_id')
export class CancelController {
  constructor(
    private readonly access: SessionAccess,
    private readonly admission: Admission,
    private readonly cancellation: Cancellation,
  ) {}

  @Post('cancel')
  @HttpCode(202)
  async cancel(
    @Param('session_id') id: string,
    @Body() body: Buffer | undefined,
    @Req() request: FastifyRequest,
  ): Promise<CancelResponse> {
    const sessionId = requireUuid(id, 'session_id');
    const { turn_id: named } = parseJsonBody(body, CancelRequest);
    const { session, by } = await this.access.use(sessionId, request.headers);
    this.admission.mustBeWritable(sessionId);
    const turnId = named?.toLowerCase() ?? null;
    const { turnId: turn_id, status } = await this.cancellation.cancel(
      sessionId,
      session,
      turnId,
      by,
    );
    return { session_id: sessionId, turn_id, status };
  }
}
