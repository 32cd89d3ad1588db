import type { CallerPresence, Usage } from '#libs/protocol';
import { Injectable } from '@nestjs/common';

/** Another process has the turn. */
export class ClaimLost extends Error {
  override readonly name = 'ClaimLost';
}

/** This process ends, and leaves the turn to another one. */
export class HandedOver extends Error {
  override readonly name = 'HandedOver';
}

/** Somebody stops the turn, and states its end. */
export class TurnStopped extends Error {
  override readonly name = 'TurnStopped';
}

/** The caller went away, and wanted the turn to end with it. */
export class CallerLeft extends Error {
  override readonly name = 'CallerLeft';
}

/** What a run had come to when it was stopped. */
export interface StoppedRun {
  readonly caller: CallerPresence;
  /** What the model had used by then; null where it had not answered. */
  readonly usage: Usage | null;
}

/** One run of an attempt, as far as others may end it. */
export interface RunningTurn {
  /** Aborts with one of the errors above, or when the run is over. */
  readonly signal: AbortSignal;
  /** Ends the run, because its claim is lost. */
  drop(): void;
  /** Ends the run, because its caller is gone. */
  leave(): void;
  /** The run is over: nobody reads the model's answer any more. */
  end(): void;
}

interface Run {
  readonly turnId: string;
  readonly abort: AbortController;
  readonly ended: Promise<void>;
  readonly describe: () => StoppedRun;
}

/**
 * The turns that this process runs. When it is asked to stop, they may go on for a few seconds; the
 * rest is handed over: nothing is appended for them, and another process adopts them [A6].
 */
@Injectable()
export class RunningTurns {
  /** A turn that was lost and adopted here is there twice for a while. */
  private readonly runs = new Set<Run>();
  /** Turns whose claims were taken after they were won here, and before their runs began. */
  private readonly stoppedEarly = new Set<string>();
  private isHandedOver = false;

  /** @param describe what the run has come to */
  begin(turnId: string, describe: () => StoppedRun): RunningTurn {
    const abort = new AbortController();
    const ended = Promise.withResolvers<undefined>();
    const run = { turnId, abort, ended: ended.promise, describe };
    this.runs.add(run);
    if (this.isHandedOver) handOver(abort);
    if (this.stoppedEarly.delete(turnId)) stop(abort);
    return {
      signal: abort.signal,
      drop: () => abort.abort(new ClaimLost('another process took the turn over')),
      leave: () => abort.abort(new CallerLeft('the caller of the turn is gone')),
      end: () => {
        this.runs.delete(run);
        abort.abort(new Error('the turn has ended'));
        ended.resolve(undefined);
      },
    };
  }

  /** Ends a run whose claim was taken to stop it; null where the turn does not run here. */
  stop(turnId: string): StoppedRun | null {
    const runs = [...this.runs].filter((run) => run.turnId === turnId);
    const stopped = runs.at(-1)?.describe() ?? null;
    for (const { abort } of runs) stop(abort);
    return stopped;
  }

  /** Its run is to end as soon as it begins. */
  stopBeforeItBegins(turnId: string): void {
    this.stoppedEarly.add(turnId);
  }

  /** Leaves all turns to other processes, also those that begin from now on. */
  handOver(): void {
    this.isHandedOver = true;
    for (const { abort } of this.runs) handOver(abort);
  }

  /** Resolves when no turn runs. */
  async ended(): Promise<void> {
    while (this.runs.size > 0) {
      await Promise.all([...this.runs].map(({ ended }) => ended));
    }
  }
}

function stop(abort: AbortController): void {
  abort.abort(new TurnStopped('somebody stops the turn'));
}

function handOver(abort: AbortController): void {
  abort.abort(new HandedOver('this process ends, and another one goes on with the turn'));
}
