import type {
  MadeRound,
  PlainCommand,
  TurnOutput,
  UpstreamAnswer,
  WaitingRequest,
} from '#libs/domain';
import { initialState } from '#libs/domain';
import type { Actor, CallerPresence, LogEventOf, TurnError } from '#libs/protocol';
import type { Executed } from '#libs/session-log';
import { SYSTEM, SessionLog } from '#libs/session-log';
import { ProcessIdentity } from '#libs/store';
import { Injectable } from '@nestjs/common';
import type { StoppedRun } from './running-turns.js';
import type { TurnAttempt } from './turn-attempt.js';

/** An append of a turn's event: no command about a turn is refused by the session's state. */
export type TurnAppend = Exclude<Executed, { type: 'refused' }>;

/** How a turn failed, besides what its reader is told. */
export interface Failure {
  readonly error: TurnError;
  readonly caller: CallerPresence;
  /** Whether the model may have seen the request. */
  readonly reachedModel: boolean;
  /** The HTTP status that the model answered with. */
  readonly upstreamStatus: number | null;
  /** What it answered, where that is to be told again. */
  readonly answer: UpstreamAnswer | null;
}

/** A turn of a queue, and who does something to it. */
interface QueuedIds {
  readonly sessionId: string;
  readonly turnId: string;
  readonly by: Actor;
}

/** States the events of turns: each method is one append. */
@Injectable()
export class TurnEvents {
  constructor(
    private readonly sessionLog: SessionLog,
    private readonly identity: ProcessIdentity,
  ) {}

  /** @throws LogOverloaded: nothing was begun */
  async queue(
    { sessionId, turnId, by }: QueuedIds,
    request: WaitingRequest,
    background: boolean,
  ): Promise<TurnAppend> {
    const holder = this.identity.address;
    const command: PlainCommand = {
      type: 'QueueTurn',
      ...{ turnId, holder, background, request },
    };
    const execution = { sessionId, state: initialState, by, command };
    return notRefused(await this.sessionLog.execute(execution));
  }

  /** Ends a turn that waits; `error` is null where its caller was told that nothing had begun. */
  async withdraw(
    { sessionId, turnId, by }: QueuedIds,
    error: TurnError | null,
    caller: CallerPresence,
  ): Promise<TurnAppend> {
    const command: PlainCommand = { type: 'WithdrawTurn', turnId, error, caller };
    const execution = { sessionId, state: initialState, by, command };
    return notRefused(await this.sessionLog.insist(execution));
  }

  /** @throws LogOverloaded: nothing was begun */
  async start(attempt: TurnAttempt): Promise<TurnAppend> {
    const { request, opener, sessionId, state, by, entry } = attempt;
    const runner = this.identity.address;
    return notRefused(
      await this.sessionLog.execute({
        sessionId,
        state,
        by,
        command: { type: 'StartTurn', claim: attempt, runner, request, opener, entry },
      }),
    );
  }

  /** `handedOver`: its last runner ended on purpose; else it died. */
  async adopt(
    { sessionId, turnId }: { readonly sessionId: string; readonly turnId: string },
    epoch: number,
    handedOver: boolean,
  ): Promise<TurnAppend> {
    const command: PlainCommand = {
      type: 'AdoptTurn',
      claim: { turnId, epoch },
      runner: this.identity.address,
      handedOver,
    };
    const execution = { sessionId, state: initialState, by: SYSTEM, command };
    return notRefused(await this.sessionLog.insist(execution));
  }

  async complete(
    attempt: TurnAttempt,
    output: TurnOutput,
    caller: CallerPresence,
  ): Promise<
    | { readonly type: 'appended'; readonly offset: number; readonly event: Completed }
    | Extract<TurnAppend, { type: 'rejected' }>
  > {
    const { checkpointEvery } = attempt.request;
    const appended = await this.insist(attempt, {
      type: 'CompleteTurn',
      claim: attempt,
      output,
      checkpointEvery,
      caller,
    });
    if (appended.type === 'rejected') return appended;
    const [event] = appended.events;
    if (event.type !== 'turn.completed') throw new Error(`CompleteTurn became ${event.type}`);
    return { type: 'appended', offset: appended.position.offset, event };
  }

  /** The model has called tools of the surface; nothing is sent before it is acknowledged [A18]. */
  async callTools(attempt: TurnAttempt, made: MadeRound): Promise<TurnAppend> {
    return this.insist(attempt, { type: 'CallTools', claim: attempt, made });
  }

  /** All calls of the round wait; the claim is to be released behind it [A19]. */
  async park(attempt: TurnAttempt): Promise<TurnAppend> {
    return this.insist(attempt, { type: 'ParkTurn', claim: attempt });
  }

  async fail(attempt: TurnAttempt, failure: Failure): Promise<TurnAppend> {
    return this.insist(attempt, { type: 'FailTurn', claim: attempt, ...failure });
  }

  /** By its runner, or by whoever has taken its claim to stop it. */
  async cancel(
    attempt: Pick<TurnAttempt, 'sessionId' | 'turnId' | 'epoch' | 'state' | 'by'>,
    error: TurnError,
    { caller, usage }: StoppedRun,
  ): Promise<TurnAppend> {
    return this.insist(attempt, { type: 'CancelTurn', claim: attempt, error, caller, usage });
  }

  /** The caller of an ended turn did not get its answer after all: it is owed to a surface. */
  async undelivered(sessionId: string, turnId: string): Promise<TurnAppend> {
    const command: PlainCommand = { type: 'ReportUndelivered', turnId };
    const execution = { sessionId, state: initialState, by: SYSTEM, command };
    return notRefused(await this.sessionLog.insist(execution));
  }

  private async insist(
    { sessionId, state, by }: Pick<TurnAttempt, 'sessionId' | 'state' | 'by'>,
    command: PlainCommand,
  ): Promise<TurnAppend> {
    return notRefused(await this.sessionLog.insist({ sessionId, state, by, command }));
  }
}

export type Completed = LogEventOf<'turn.completed'>;

/** What is told of a turn that was stopped. */
export function turnCancelled(message: string): TurnError {
  return { code: 'SBP_TURN_CANCELLED', message };
}

/** The offset of the last event of an append, for the claim's release; null if there is none. */
export function headOf(append: TurnAppend): number | null {
  return append.type === 'appended' ? append.position.offset : null;
}

function notRefused(executed: Executed): TurnAppend {
  if (executed.type === 'refused') {
    throw new Error(`an event of a turn was refused: ${executed.reason}`);
  }
  return executed;
}
