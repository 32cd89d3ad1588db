import { randomUUID } from 'node:crypto';
import type { OnModuleDestroy, OnModuleInit } from '@nestjs/common';
import { Injectable } from '@nestjs/common';
import { decide, initialState } from '#libs/domain';
import { EventLog } from '#libs/event-log';
import { Continuity, Processes } from '#libs/store';
import { SessionsOptions } from './sessions-options.js';

/** How often lost gateways are looked for, in ms. */
const SCAN_MS = 1_000;
/** Surfaces detached in one scan. */
const BATCH = 500;

/** Detaches the surfaces whose gateway has died: nobody else can say that they are gone. */
@Injectable()
export class LostGateways implements OnModuleInit, OnModuleDestroy {
  private readonly continuity = new Continuity();
  private timer: NodeJS.Timeout | null = null;
  private scanning: Promise<void> | null = null;

  constructor(
    private readonly processes: Processes,
    private readonly log: EventLog,
    private readonly options: SessionsOptions,
  ) {}

  onModuleInit(): void {
    this.timer = setInterval(() => {
      this.scanning ??= this.scan()
        .catch((error: unknown) => {
          this.continuity.failed();
          this.options.onProblem('looking for lost gateways failed', error);
        })
        .finally(() => (this.scanning = null));
    }, SCAN_MS);
  }

  async onModuleDestroy(): Promise<void> {
    if (this.timer !== null) clearInterval(this.timer);
    await this.scanning;
  }

  private async scan(): Promise<void> {
    const lost = await this.processes.lostSurfaces(this.options.onlyProcess, BATCH);
    this.continuity.answered(performance.now());
    // After an outage of the database every gateway looks silent for a while.
    if (this.options.onlyProcess === null && !this.continuity.holds(performance.now())) return;
    await Promise.all(
      lost.map(async ({ sessionId, attachId }) => {
        const issued = { sessionId, at: new Date().toISOString(), newId: randomUUID };
        const detach = {
          ...issued,
          type: 'DetachSurface',
          attachId,
          reason: 'gateway_lost',
        } as const;
        const decision = decide(detach, initialState);
        if (decision.type === 'events') await this.log.append(decision.events);
      }),
    );
  }
}
