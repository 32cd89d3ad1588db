import type { DynamicModule } from '@nestjs/common';
import { Module } from '@nestjs/common';
import { Database } from '#libs/sql';
import { AuditController } from './http/audit.controller.js';
import { Seals } from './trail/seals.js';
import { TrailController } from './trail/trail.controller.js';
import { TrailReads } from './trail/trail-reads.js';
import { Trail } from './trail/trail.js';

/**
 * The audit trail. From global modules it takes Database and SessionAccess; the application needs
 * an `EventLogTransport`, and the tables of `auditSchema`.
 */
@Module({})
export class AuditModule {
  /** `secret`: that `loadSecret` gave. */
  static register(secret: Uint8Array): DynamicModule {
    return {
      module: AuditModule,
      controllers: [AuditController, TrailController],
      providers: [
        { provide: Trail, useValue: new Trail(new Seals(secret)) },
        {
          provide: TrailReads,
          useFactory: (database: Database) => new TrailReads(database),
          inject: [Database],
        },
      ],
    };
  }
}
