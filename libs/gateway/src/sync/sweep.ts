import { SurfaceReads } from '#libs/store';
import { PeriodicTask } from '#libs/timing';
import type { OnApplicationBootstrap, OnModuleDestroy } from '@nestjs/common';
import { Injectable, Logger } from '@nestjs/common';
import { SurfaceRegistry } from '../attachment/surface-registry.js';
import { SurfaceTimings } from '../surface-timings.js';
import type { SurfaceSync } from './sync.js';

/** Sessions in one query. */
const CHUNK = 500;

/**
 * Finds what lost pokes and lost live text left behind: one query for many sockets; those that
 * differ are synced [A8].
 */
@Injectable()
export class Sweep implements OnApplicationBootstrap, OnModuleDestroy {
  private readonly logger = new Logger('Sweep');
  private readonly task: PeriodicTask;
  private stopped = false;

  constructor(
    private readonly registry: SurfaceRegistry,
    private readonly reads: SurfaceReads,
    timings: SurfaceTimings,
  ) {
    this.task = new PeriodicTask({
      everyMs: timings.sweep,
      work: () => this.sweep(),
      onFault: (error) => this.logger.warn(`sweep failed: ${String(error)}`),
    });
  }

  onApplicationBootstrap(): void {
    this.task.start();
  }

  async onModuleDestroy(): Promise<void> {
    this.stopped = true;
    await this.task.stop();
  }

  /** One sweep over all sockets. */
  async sweep(): Promise<void> {
    const attached = this.registry.attached();
    for (let from = 0; from < attached.length && !this.stopped; from += CHUNK) {
      await this.sweepChunk(attached.slice(from, from + CHUNK));
    }
  }

  private async sweepChunk(chunk: readonly SurfaceSync[]): Promise<void> {
    const glances = await this.reads.glance([
      ...new Set(chunk.map((sync) => sync.surface.sessionId)),
    ]);
    for (const sync of chunk) if (sync.differsFrom(glances.get(sync.surface.sessionId))) sync.ask();
  }
}
