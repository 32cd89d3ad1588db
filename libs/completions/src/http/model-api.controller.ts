import { All, Controller, NotFoundException, Req, Res } from '@nestjs/common';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { SessionAccess } from '#libs/access';
import { isModelPath } from '#libs/protocol';
import { PassThrough } from './pass-through.js';

/** Where the model's API begins, as clients see it. */
const BASE = '/v1';

/**
 * The rest of the model's API, so that the server can stand in for its base URL: whatever is below
 * `/v1/` and not ours goes to the model as it came, and the answer back.
 */
@Controller('v1')
export class ModelApiController {
  constructor(
    private readonly access: SessionAccess,
    private readonly passThrough: PassThrough,
  ) {}

  @All('*')
  async forward(@Req() request: FastifyRequest, @Res() reply: FastifyReply): Promise<void> {
    const { url } = request;
    if (!isModelPath(url.split('?', 1)[0] ?? '')) throw new NotFoundException();
    await this.access.mustBeUser(request.headers);
    await this.passThrough.forward(request.raw, url.slice(BASE.length), reply);
  }
}
