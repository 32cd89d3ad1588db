import { within } from '#libs/timing';
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

/** How long runs that are being committed may still take when the rest is handed over, in ms. */
const COMMIT_MS = 2_000;

/**
 * The turns that this process runs. When it is asked to stop, they may go on for a few seconds; the
 * rest is handed over: nothing is appended for them, and another process adopts them [A6].
 */
@Injectable()
export class RunningTurns {
  private readonly runs = new Map<AbortController, Promise<void>>();

  begin(): RunningTurn {
    const abort = new AbortController();
    const ended = Promise.withResolvers<undefined>();
    this.runs.set(abort, ended.promise);
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

  /** Waits up to `ms` for all turns to end, then hands over those that have not. */
  async stop(ms: number): Promise<void> {
    if ((await within(this.allEnded(), ms)) !== 'late') return;
    for (const abort of this.runs.keys()) {
      abort.abort(new HandedOver('this process ends, and another one goes on with the turn'));
    }
    await within(this.allEnded(), COMMIT_MS);
  }

  private async allEnded(): Promise<void> {
    while (this.runs.size > 0) await Promise.all(this.runs.values());
  }
}
