import { suspendedAt } from '#libs/domain';
import { Maintenance, SYSTEM } from '#libs/session-log';
import { SessionList } from '#libs/store';
import { PeriodicTask } from '#libs/timing';
import type { OnModuleDestroy, OnModuleInit } from '@nestjs/common';
import { Injectable } from '@nestjs/common';
import { SessionsOptions } from './sessions-options.js';

/** How often suspended sessions are looked for, in ms. */
const SCAN_MS = 5_000;
/** Sessions failed in one scan. */
const BATCH = 100;

/**
 * Lets sessions fail that somebody suspended by their status and nobody resumed in time. Several
 * processes may find the same one: its claim lets one of them act, and the others see that.
 */
@Injectable()
export class SuspensionTimeout implements OnModuleInit, OnModuleDestroy {
  /** Null where they may stay suspended for ever. */
  private readonly task: PeriodicTask | null;

  constructor(
    private readonly list: SessionList,
    private readonly maintenance: Maintenance,
    private readonly options: SessionsOptions,
  ) {
    const { suspendedTimeoutMs: timeoutMs } = options;
    this.task =
      timeoutMs === null
        ? null
        : new PeriodicTask({
            everyMs: SCAN_MS,
            work: () => this.scan(timeoutMs),
            onFault: (error) => options.onProblem('looking for suspended sessions failed', error),
          });
  }

  onModuleInit(): void {
    this.task?.start();
  }

  async onModuleDestroy(): Promise<void> {
    await this.task?.stop();
  }

  private async scan(timeoutMs: number): Promise<void> {
    const since = Date.now() - timeoutMs;
    await Promise.all(
      (await this.list.suspendedSince(since, BATCH)).map((sessionId) =>
        this.fail(sessionId, since).catch((error: unknown) => {
          this.options.onProblem(
            `session ${sessionId}, suspended for too long, did not fail`,
            error,
          );
        }),
      ),
    );
  }

  private async fail(sessionId: string, since: number): Promise<void> {
    await this.maintenance.perform({
      sessionId,
      by: SYSTEM,
      command: ({ epoch, state }) => {
        const at = suspendedAt(state);
        // Somebody may have resumed it meanwhile.
        return at === null || at > since ? null : { type: 'ChangeLife', epoch, to: 'failed' };
      },
      isDone: () => true,
    });
  }
}
