import { Readable } from 'node:stream';
import { serverActor } from '#libs/access';
import { bearer } from '#libs/auth';
import type { ConsumeResponse } from '#libs/protocol';
import { ConsumeRequest, SbpError, parseJsonBody } from '#libs/protocol';
import { Body, Controller, Get, HttpCode, Param, Post, Req, StreamableFile } from '@nestjs/common';
import type { FastifyRequest } from 'fastify';
import { canonicalBundle } from '../bundle/bundle.js';
import { Bundles } from '../bundle/bundles.js';
import { mustBeUsable } from '../exports/exports.js';
import type { TokenExport } from '../imports/roaming-token.js';
import { TokenExports } from '../imports/roaming-token.js';
import { Consumption } from './consumption.js';

/** What other servers ask for: a bundle, and that its export is used. The token permits both. */
@Controller('v1/sbp/bundles/:cid')
export class BundlesController {
  constructor(
    private readonly tokens: TokenExports,
    private readonly bundles: Bundles,
    private readonly consumption: Consumption,
  ) {}

  /** Uses nothing. */
  @Get()
  async bundle(@Param('cid') cid: string, @Req() request: FastifyRequest): Promise<StreamableFile> {
    const { record } = await this.find(cid, request, 'valid');
    mustBeUsable(record);
    const pieces = Readable.from(canonicalBundle(await this.bundles.ofExport(record)));
    return new StreamableFile(pieces, { type: 'application/json; charset=utf-8' });
  }

  /** The same again for the same import, also when the token has expired. */
  @Post('consume')
  @HttpCode(200)
  async consume(
    @Param('cid') cid: string,
    @Body() body: Buffer | undefined,
    @Req() request: FastifyRequest,
  ): Promise<ConsumeResponse> {
    const asked = parseJsonBody(body, ConsumeRequest);
    const { record } = await this.find(cid, request, 'perhaps expired');
    return this.consumption.consume(record, asked, serverActor());
  }

  private async find(
    cid: string,
    request: FastifyRequest,
    wanted: 'valid' | 'perhaps expired',
  ): Promise<TokenExport> {
    const found = await this.tokens.local(bearerOf(request), wanted);
    if (found.claims.cid === cid && found.record.bundleCid === cid) return found;
    throw new SbpError('SBP_TOKEN_INVALID', 'cid: is of another bundle than the token’s.', {
      param: 'cid',
    });
  }
}

/** @throws SbpError SBP_UNAUTHORIZED */
function bearerOf({ headers }: FastifyRequest): string {
  const token = bearer(headers.authorization);
  if (token !== null) return token;
  throw new SbpError('SBP_UNAUTHORIZED', 'Authorization: must be Bearer and a roaming token.', {
    param: 'Authorization',
  });
}
