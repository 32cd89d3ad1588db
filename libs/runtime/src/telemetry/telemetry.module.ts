import { Metrics, ProcessMetrics } from '#libs/telemetry';
import type { OnApplicationShutdown } from '@nestjs/common';
import { Injectable, Module } from '@nestjs/common';
import { Readiness } from '../health/readiness.js';
import { MetricsController } from './metrics.controller.js';

/** What every process shows, whatever it serves. */
@Injectable()
class CommonMetrics implements OnApplicationShutdown {
  private readonly process: ProcessMetrics;

  constructor(metrics: Metrics, readiness: Readiness) {
    this.process = new ProcessMetrics(metrics);
    metrics.gauge('sbp_ready', async (gauge) => {
      gauge.set((await readiness.report()).ready ? 1 : 0);
    });
  }

  onApplicationShutdown(): void {
    this.process.close();
  }
}

/** `/metrics`. From global modules it takes Metrics, SessionAccess and Readiness. */
@Module({ controllers: [MetricsController], providers: [CommonMetrics] })
export class TelemetryModule {}
