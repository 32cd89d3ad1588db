import { Controller, Get, Query, Req, Res } from '@nestjs/common';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { SessionAccess } from '#libs/access';
import type { UsageResponse } from '#libs/protocol';
import { SbpError, USAGE_LIMITS, UsageQuery, parseQuery } from '#libs/protocol';
import { usageCsv } from './usage-csv.js';
import { UsageReads } from './usage-reads.js';

/** `GET /v1/sbp/analytics/usage`: what was used by whom, for operators. */
@Controller('v1/sbp/analytics/usage')
export class UsageController {
  constructor(
    private readonly access: SessionAccess,
    private readonly reads: UsageReads,
  ) {}

  @Get()
  async usage(
    @Query() query: unknown,
    @Req() request: FastifyRequest,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<UsageResponse | string> {
    await this.access.operator(request.headers);
    const { from, to, group_by: groupBy, format } = parseQuery(query, UsageQuery);
    const answer = await this.reads.usage({ from, to, groupBy });
    if (answer.type === 'too_many') {
      const message = `group_by: gives more than ${USAGE_LIMITS.rows} rows. Group by less, or ask for fewer days.`;
      throw new SbpError('SBP_INVALID_REQUEST', message, { param: 'group_by' });
    }
    const { rows } = answer;
    if (format === 'json') return { from, to, rows: [...rows] };
    void reply
      .header('content-type', 'text/csv; charset=utf-8')
      .header('content-disposition', `attachment; filename="usage-${from}-${to}.csv"`);
    return usageCsv(groupBy, rows);
  }
}
