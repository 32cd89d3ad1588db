import { SessionAccess, httpActor } from '#libs/access';
import type { ImportResponse, TokenInspection } from '#libs/protocol';
import { ImportRequest, parseJsonBody } from '#libs/protocol';
import { Body, Controller, Get, HttpCode, Param, Post, Req } from '@nestjs/common';
import type { FastifyRequest } from 'fastify';
import { newSession } from '../opening/derived-ids.js';
import { RemoteImports } from '../servers/remote-imports.js';
import { Imports } from './imports.js';
import { TokenExports } from './roaming-token.js';

/** `POST /v1/sbp/sessions/import` and `GET /v1/sbp/token/{roaming_token}`. */
@Controller('v1/sbp')
export class ImportsController {
  constructor(
    private readonly access: SessionAccess,
    private readonly tokens: TokenExports,
    private readonly imports: Imports,
    private readonly remote: RemoteImports,
  ) {}

  @Post('sessions/import')
  @HttpCode(201)
  async import(
    @Body() body: Buffer | undefined,
    @Req() request: FastifyRequest,
  ): Promise<ImportResponse> {
    const asked = parseJsonBody(body, ImportRequest);
    const principal = await this.access.principal(request.headers);
    const found = await this.tokens.of(asked.roaming_token);
    const scope = ['import', principal, found.claims.sub];
    const target = newSession(request.headers, scope, body);
    const by = httpActor(principal);
    return this.imports.import(found, { request: asked, target, principal, by });
  }

  /** Whoever has the token may look at it: that uses nothing. */
  @Get('token/:roaming_token')
  async inspect(@Param('roaming_token') token: string): Promise<TokenInspection> {
    const found = await this.tokens.of(token);
    if (found.type === 'remote') return this.remote.inspect(found.claims, token);
    const { record } = found;
    const { fate } = record;
    const consumedAt = fate.type === 'consumed' ? fate.at : null;
    return {
      export_id: record.exportId,
      session_id: record.sessionId,
      label: record.label,
      message_count: record.messageCount,
      created_at: record.createdAt,
      expires_at: record.expiresAt,
      consumed: consumedAt !== null,
      consumed_at: consumedAt,
      imported_at: consumedAt,
      revoked_at: fate.type === 'revoked' ? fate.at : null,
    };
  }
}
