import { Injectable } from '@nestjs/common';

/** Another process has the turn. */
export class ClaimLost extends Error {
  override readonly name = 'ClaimLost';
}

/** This process ends, and leaves the turn to another one. */
export class HandedOver extends Error {
  override readonly name = 'HandedOver';
}

/** One run of an attempt, as far as others may end it. */
export interface RunningTurn {
  /** Aborts with `ClaimLost` or `HandedOver`, or when the run is over. */
  readonly signal: AbortSignal;
  /** Ends the run, because its claim is lost. */
  drop(): void;
  /** The run is over: nobody reads the model's answer any more. */
  end(): void;
}

/**
 * The turns that this process runs. When it is asked to stop, they may go on for a few seconds; the
 * rest is handed over: nothing is appended for them, and another process adopts them [A6].
 */
@Injectable()
export class RunningTurns {
  private readonly runs = new Map<AbortController, Promise<void>>();
  private isHandedOver = false;

  begin(): RunningTurn {
    const abort = new AbortController();
    const ended = Promise.withResolvers<undefined>();
    this.runs.set(abort, ended.promise);
    if (this.isHandedOver) handOver(abort);
    return {
      signal: abort.signal,
      drop: () => abort.abort(new ClaimLost('another process took the turn over')),
      end: () => {
        this.runs.delete(abort);
        abort.abort(new Error('the turn has ended'));
        ended.resolve(undefined);
      },
    };
  }

  /** Leaves all turns to other processes, also those that begin from now on. */
  handOver(): void {
    this.isHandedOver = true;
    for (const abort of this.runs.keys()) handOver(abort);
  }

  /** Resolves when no turn runs. */
  async ended(): Promise<void> {
    while (this.runs.size > 0) await Promise.all(this.runs.values());
  }
}

function handOver(abort: AbortController): void {
  abort.abort(new HandedOver('this process ends, and another one goes on with the turn'));
}
