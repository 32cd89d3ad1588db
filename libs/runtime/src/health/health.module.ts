import { Module } from '@nestjs/common';
import type { DynamicModule } from '@nestjs/common';
import type { Logger } from '#libs/telemetry';
import { HealthController, ServerDescription } from './health.controller.js';
import { Readiness } from './readiness.js';
import type { ReadinessCheck } from './readiness.js';

export interface HealthOptions {
  /** The storage and transport behind the server, in words, as `/health` tells them. */
  readonly backend: string;
  readonly checks: readonly ReadinessCheck[];
  readonly logger: Logger;
}

/**
 * `/health`, `/health/live` and `/health/ready`. `Readiness` takes more checks while the
 * application is wired.
 */
@Module({})
export class HealthModule {
  static register({ backend, checks, logger }: HealthOptions): DynamicModule {
    return {
      module: HealthModule,
      global: true,
      controllers: [HealthController],
      providers: [
        { provide: ServerDescription, useValue: new ServerDescription(backend) },
        { provide: Readiness, useValue: new Readiness(checks, logger) },
      ],
      exports: [Readiness],
    };
  }
}
