import { initialState } from '#libs/domain';
import { SYSTEM, SessionLog } from '#libs/session-log';
import { Processes, ProcessWatch } from '#libs/store';
import { PeriodicTask } from '#libs/timing';
import type { OnModuleDestroy, OnModuleInit } from '@nestjs/common';
import { Injectable } from '@nestjs/common';
import { SessionsOptions } from './sessions-options.js';

/** How often lost gateways are looked for, in ms. */
const SCAN_MS = 1_000;
/** Surfaces detached in one scan. */
const BATCH = 500;

/** Detaches the surfaces whose gateway has died, because nobody else can say that they are gone. */
@Injectable()
export class LostGateways implements OnModuleInit, OnModuleDestroy {
  private readonly watch = new ProcessWatch();
  private readonly task: PeriodicTask;

  constructor(
    private readonly processes: Processes,
    private readonly sessionLog: SessionLog,
    private readonly options: SessionsOptions,
  ) {
    this.task = new PeriodicTask({
      everyMs: SCAN_MS,
      work: () => this.scan(),
      onFault: (error) => {
        this.watch.failed();
        options.onProblem('looking for lost gateways failed', error);
      },
    });
  }

  onModuleInit(): void {
    this.task.start();
  }

  async onModuleDestroy(): Promise<void> {
    await this.task.stop();
  }

  private async scan(): Promise<void> {
    const lost = (await this.processes.gateways()).filter(await this.judge());
    const surfaces = await this.processes.surfacesOf(lost, BATCH);
    await Promise.all(
      surfaces.map(({ sessionId, attachId }) =>
        this.sessionLog.execute({
          sessionId,
          state: initialState,
          by: SYSTEM,
          command: { type: 'DetachSurface', attachId, reason: 'gateway_lost' },
        }),
      ),
    );
  }

  private async judge(): Promise<(incarnation: string) => boolean> {
    const { onlyProcess } = this.options;
    if (onlyProcess !== null) return (incarnation) => incarnation !== onlyProcess.incarnation;
    this.watch.observe(await this.processes.signs(), performance.now());
    return (incarnation) => this.watch.isSilent(incarnation);
  }
}
