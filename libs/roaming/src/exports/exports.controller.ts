import { Body, Controller, Delete, Get, HttpCode, Param, Post, Query, Req } from '@nestjs/common';
import type { FastifyRequest } from 'fastify';
import { SessionAccess, httpActor } from '#libs/access';
import type { ExportResponse, ExportsResponse } from '#libs/protocol';
import {
  ExportRequest,
  ExportsQuery,
  SbpError,
  parseJsonBody,
  parseQuery,
  requireUuid,
} from '#libs/protocol';
import type { ExportRecord } from '#libs/store';
import { ExportReads } from '#libs/store';
import { Exports, listed, wasConsumed } from './exports.js';

/** The exports of a session: made, listed and revoked. */
@Controller('v1/sbp')
export class ExportsController {
  constructor(
    private readonly access: SessionAccess,
    private readonly exports: Exports,
    private readonly reads: ExportReads,
  ) {}

  @Post('sessions/:session_id/export')
  @HttpCode(201)
  async export(
    @Param('session_id') id: string,
    @Body() body: Buffer | undefined,
    @Req() request: FastifyRequest,
  ): Promise<ExportResponse> {
    const sessionId = requireUuid(id, 'session_id');
    const options = parseJsonBody(body, ExportRequest);
    const { session, by } = await this.access.use(sessionId, request.headers);
    return this.exports.export(sessionId, session, options, by);
  }

  @Get('sessions/:session_id/exports')
  async list(
    @Param('session_id') id: string,
    @Query() query: unknown,
    @Req() request: FastifyRequest,
  ): Promise<ExportsResponse> {
    const sessionId = requireUuid(id, 'session_id');
    const { after, limit } = parseQuery(query, ExportsQuery);
    await this.access.session(sessionId, request.headers);
    const from = after === undefined ? null : await this.find(after.toLowerCase(), 'after');
    if (from !== null && from.sessionId !== sessionId) throw exportNotFound(from.exportId, 'after');
    // One more shows whether there are more.
    const found = await this.reads.list(sessionId, from, limit + 1);
    const page = found.slice(0, limit);
    return {
      session_id: sessionId,
      exports: page.map(listed),
      next_cursor: found.length > limit ? (page.at(-1)?.exportId ?? null) : null,
    };
  }

  @Delete('exports/:export_id')
  @HttpCode(204)
  async revoke(@Param('export_id') id: string, @Req() request: FastifyRequest): Promise<void> {
    const exportId = requireUuid(id, 'export_id');
    const credential = await this.access.authenticate(request.headers);
    const found = await this.find(exportId, 'export_id');
    const session = await this.access
      .authorise(found.sessionId, credential, 'export_id')
      .catch((error: unknown) => {
        // Whose export it is, and that it is there, is nobody else's business.
        throw isOfAnother(error) ? exportNotFound(exportId, 'export_id') : error;
      });
    const { fate } = await this.find(exportId, 'export_id');
    if (fate.type === 'consumed') throw wasConsumed();
    if (fate.type === 'open') {
      await this.exports.revoke(found, session, httpActor(credential.principal));
    }
  }

  private async find(exportId: string, param: string): Promise<ExportRecord> {
    const found = await this.reads.one(exportId);
    if (found !== null) return found;
    throw exportNotFound(exportId, param);
  }
}

function isOfAnother(error: unknown): boolean {
  if (!(error instanceof SbpError)) return false;
  return error.code === 'SBP_SESSION_NOT_FOUND' || error.code === 'SBP_FORBIDDEN';
}

function exportNotFound(exportId: string, param: string): SbpError {
  return new SbpError('SBP_SESSION_NOT_FOUND', `No export with ID ${exportId}.`, { param });
}
