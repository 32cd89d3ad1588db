import { Processes, UnconfirmedAnswers } from '#libs/store';
import { Injectable } from '@nestjs/common';
import { TurnEvents } from '../turn/turn-events.js';

/** A dead process, by its row. */
interface DeadProcess {
  readonly slot: number;
  readonly incarnation: string;
}

/**
 * Answers that a process was about to give when it died may never have arrived: surfaces are owed
 * them [A6].
 */
@Injectable()
export class LostAnswers {
  constructor(
    private readonly processes: Processes,
    private readonly unconfirmed: UnconfirmedAnswers,
    private readonly events: TurnEvents,
  ) {}

  /**
   * Sees to what these processes left behind. `holding`: those that still hold claims; they are
   * done with only when their turns are taken over.
   */
  async report(dead: readonly DeadProcess[], holding: ReadonlySet<string>): Promise<void> {
    if (dead.length === 0) return;
    const answers = await this.unconfirmed.of(new Set(dead.map(({ incarnation }) => incarnation)));
    for (const answer of answers) {
      await this.events.undelivered(answer.sessionId, answer.turnId);
      this.unconfirmed.confirm(answer);
    }
    await this.unconfirmed.flush();
    for (const process of dead) {
      if (!holding.has(process.incarnation)) await this.processes.reaped(process);
    }
  }
}
