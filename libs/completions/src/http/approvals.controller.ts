import { Body, Controller, HttpCode, Param, Post, Req } from '@nestjs/common';
import type { FastifyRequest } from 'fastify';
import { SessionAccess } from '#libs/access';
import type { ApprovalResponse } from '#libs/protocol';
import { ApprovalRequest, parseJsonBody, requireUuid } from '#libs/protocol';
import { Admission } from '../claim/admission.js';
import { Approvals } from '../tools/approvals.js';

/** `POST /v1/sbp/sessions/{id}/approvals/{call_id}`. */
@Controller('v1/sbp/sessions/:session_id')
export class ApprovalsController {
  constructor(
    private readonly access: SessionAccess,
    private readonly admission: Admission,
    private readonly approvals: Approvals,
  ) {}

  @Post('approvals/:call_id')
  @HttpCode(202)
  async decide(
    @Param('session_id') id: string,
    @Param('call_id') call: string,
    @Body() body: Buffer | undefined,
    @Req() request: FastifyRequest,
  ): Promise<ApprovalResponse> {
    const sessionId = requireUuid(id, 'session_id');
    const callId = requireUuid(call, 'call_id');
    const { approve: approved, reason } = parseJsonBody(body, ApprovalRequest);
    const { session, by } = await this.access.use(sessionId, request.headers);
    this.admission.mustBeWritable(sessionId);
    const decision = { callId, approved, reason: reason ?? null };
    await this.approvals.decide(sessionId, session, decision, by);
    return { session_id: sessionId, call_id: callId, approved };
  }
}
