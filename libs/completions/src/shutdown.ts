import type { OnModuleDestroy } from '@nestjs/common';
import { Injectable } from '@nestjs/common';
import { Admission } from './claim/admission.js';
import { CompletionsOptions } from './completions-options.js';
import { RunningTurns } from './turn/running-turns.js';
import { OrphanScan } from './adoption/orphan-scan.js';

/**
 * Ends the service without failing a turn [A6]: nothing new is begun, turns may end for a few
 * seconds, and the rest is handed over.
 */
@Injectable()
export class Shutdown implements OnModuleDestroy {
  constructor(
    private readonly admission: Admission,
    private readonly scan: OrphanScan,
    private readonly running: RunningTurns,
    private readonly options: CompletionsOptions,
  ) {}

  async onModuleDestroy(): Promise<void> {
    this.admission.close();
    await Promise.all([this.scan.stop(), this.running.stop(this.options.drainMs)]);
  }
}
