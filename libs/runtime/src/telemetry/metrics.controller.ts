import { SessionAccess } from '#libs/access';
import { Metrics } from '#libs/telemetry';
import { Controller, Get, Header, Req, Res } from '@nestjs/common';
import type { FastifyReply, FastifyRequest } from 'fastify';

/** What this process has counted, for Prometheus; of every service, and only about itself. */
@Controller()
export class MetricsController {
  constructor(
    private readonly access: SessionAccess,
    private readonly metrics: Metrics,
  ) {}

  @Get('metrics')
  @Header('cache-control', 'no-store')
  async metricsText(
    @Req() { headers }: FastifyRequest,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<string> {
    await this.access.operator(headers);
    const text = await this.metrics.text();
    void reply.type(this.metrics.contentType);
    return text;
  }
}
