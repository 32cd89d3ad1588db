import { within } from '#libs/timing';
import type { OnModuleDestroy } from '@nestjs/common';
import { Injectable } from '@nestjs/common';
import { OrphanScan } from './adoption/orphan-scan.js';
import { Admission } from './claim/admission.js';
import { CompletionsOptions } from './completions-options.js';
import { JoinedAnswers } from './http/joined-answers.js';
import { WaitingTurns } from './queue/waiting-turns.js';
import { RunningTurns } from './turn/running-turns.js';

/** How long what is being committed or answered may still take after the hand-over, in ms. */
const COMMIT_MS = 2_000;

/**
 * Ends the service without failing a turn [A6]: nothing new is begun, turns may end and be answered
 * for a few seconds, and the rest is handed over. Storage and model must outlive it, because what
 * is on its way uses them to the end.
 */
@Injectable()
export class Shutdown implements OnModuleDestroy {
  constructor(
    private readonly admission: Admission,
    private readonly scan: OrphanScan,
    private readonly running: RunningTurns,
    private readonly waiting: WaitingTurns,
    private readonly joins: JoinedAnswers,
    private readonly options: CompletionsOptions,
  ) {}

  async onModuleDestroy(): Promise<void> {
    this.admission.close();
    this.waiting.close();
    this.joins.close('unbegun');
    const ended = this.ended();
    if ((await within(ended, this.options.drainMs)) !== 'late') return;
    this.running.handOver();
    this.joins.close('all');
    await within(ended, COMMIT_MS);
  }

  /** Resolves when no request is being served, no turn taken over, and none runs. */
  private async ended(): Promise<void> {
    // A takeover that is done runs its turn, and only then that turn is among those that run.
    await Promise.all([this.admission.emptied(), this.scan.stop()]);
    await this.running.ended();
  }
}
