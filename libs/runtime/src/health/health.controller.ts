import { Controller, Get, Header, Res } from '@nestjs/common';
import { SBP_LEVEL, SBP_VERSION } from '#libs/protocol';
import type { FastifyReply } from 'fastify';
import { Readiness } from './readiness.js';

/** What this server is, as `/health` says. */
export class ServerDescription {
  /** `backend`: the storage and transport behind it, in words. */
  constructor(readonly backend: string) {}
}

@Controller('health')
export class HealthController {
  constructor(
    private readonly description: ServerDescription,
    private readonly readiness: Readiness,
  ) {}

  @Get()
  health(): object {
    const { backend } = this.description;
    return { status: 'ok', sbp_version: SBP_VERSION, sbp_level: SBP_LEVEL, backend };
  }

  /** Answers as long as the process does; a supervisor restarts one that does not. */
  @Get('live')
  live(): object {
    return { status: 'ok' };
  }

  /** Whether requests should be sent here. */
  @Get('ready')
  @Header('cache-control', 'no-store')
  async ready(@Res({ passthrough: true }) reply: FastifyReply): Promise<object> {
    const { ready, checks } = await this.readiness.report();
    void reply.status(ready ? 200 : 503);
    return { status: ready ? 'ok' : 'unavailable', checks };
  }
}
