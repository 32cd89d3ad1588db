import { Module } from '@nestjs/common';
import { Database } from '#libs/sql';
import { UsageFoldController } from './fold/usage-fold.controller.js';
import { UsageFold } from './fold/usage-fold.js';
import { UsageReads } from './usage/usage-reads.js';
import { UsageController } from './usage/usage.controller.js';

/**
 * Usage, cost and latency. From global modules it takes Database and SessionAccess; the application
 * needs an `EventLogTransport`, and the tables of `analyticsSchema`.
 */
@Module({
  controllers: [UsageController, UsageFoldController],
  providers: [
    { provide: UsageFold, useFactory: () => new UsageFold() },
    {
      provide: UsageReads,
      useFactory: (database: Database) => new UsageReads(database),
      inject: [Database],
    },
  ],
})
export class AnalyticsModule {}
