import { Module } from '@nestjs/common';
import type { DynamicModule } from '@nestjs/common';
import type { Logger } from '#libs/telemetry';
import { OpenApiController } from '../openapi/openapi.controller.js';
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
 * What every server says about itself: `/health`, `/health/live` and `/health/ready`, and its API.
 * `Readiness` takes more checks while the application is wired.
 */
@Module({})
export class HealthModule {
  static register({ backend, checks, logger }: HealthOptions): DynamicModule {
    return {
      module: HealthModule,
      global: true,
      controllers: [HealthController, OpenApiController],
      providers: [
        { provide: ServerDescription, useValue: new ServerDescription(backend) },
        { provide: Readiness, useValue: new Readiness(checks, logger) },
      ],
      exports: [Readiness],
    };
  }
}
