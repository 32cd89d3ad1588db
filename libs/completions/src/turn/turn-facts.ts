import { randomUUID } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { Injectable } from '@nestjs/common';
import type { Command, TurnOutput } from '#libs/domain';
import { decide, initialState } from '#libs/domain';
import type { SessionState } from '#libs/domain';
import type { Append, AppendOutcome } from '#libs/event-log';
import { EventLog, LogOverloaded } from '#libs/event-log';
import type { CallerPresence, LogEventOf, TurnError } from '#libs/protocol';
import { ProcessIdentity } from '#libs/store';
import type { TurnAttempt } from './turn-attempt.js';

type CommandOf<T extends Command['type']> = Extract<Command, { type: T }>;
type Issued = 'sessionId' | 'at' | 'newId';

/** Pause before an append is tried again while too much waits, in ms. */
const OVERLOAD_PAUSE_MS = 200;

/** States the facts of turns: each method is one append. */
@Injectable()
export class TurnFacts {
  constructor(
    private readonly log: EventLog,
    private readonly identity: ProcessIdentity,
  ) {}

  /** @throws LogOverloaded: nothing was begun */
  async start(attempt: TurnAttempt): Promise<AppendOutcome> {
    const { request, opener } = attempt;
    const runner = this.identity.address;
    return this.log.append(
      this.events<'StartTurn'>(attempt, { type: 'StartTurn', attempt, runner, request, opener }),
    );
  }

  async adopt(sessionId: string, turnId: string, epoch: number): Promise<AppendOutcome> {
    const command = {
      type: 'AdoptTurn',
      attempt: { turnId, epoch },
      runner: this.identity.address,
    } as const;
    return this.append<'AdoptTurn'>({ sessionId, state: initialState }, command);
  }

  async complete(
    attempt: TurnAttempt,
    output: TurnOutput,
    caller: CallerPresence,
  ): Promise<{ readonly outcome: AppendOutcome; readonly event: LogEventOf<'turn.completed'> }> {
    const { checkpointEvery } = attempt.request;
    const events = this.events<'CompleteTurn'>(attempt, {
      type: 'CompleteTurn',
      attempt,
      output,
      checkpointEvery,
      caller,
    });
    const [event] = events;
    if (event.type !== 'turn.completed') throw new Error(`CompleteTurn became ${event.type}`);
    return { event, outcome: await this.mustAppend(events) };
  }

  async fail(
    attempt: TurnAttempt,
    error: TurnError,
    caller: CallerPresence,
  ): Promise<AppendOutcome> {
    return this.append<'FailTurn' | 'CancelTurn'>(attempt, {
      type: 'FailTurn',
      attempt,
      error: bounded(error),
      caller,
    });
  }

  async cancel(
    attempt: TurnAttempt,
    error: TurnError,
    caller: CallerPresence,
  ): Promise<AppendOutcome> {
    return this.append<'FailTurn' | 'CancelTurn'>(attempt, {
      type: 'CancelTurn',
      attempt,
      error,
      caller,
    });
  }

  /**
   * The caller of an ended turn did not get its answer after all: the turn is owed to a surface.
   */
  async undelivered(sessionId: string, turnId: string): Promise<AppendOutcome> {
    const command = { type: 'ReportUndelivered', turnId } as const;
    return this.append<'ReportUndelivered'>({ sessionId, state: initialState }, command);
  }

  private async append<T extends Command['type']>(
    to: Addressee,
    command: Omit<CommandOf<T>, Issued>,
  ): Promise<AppendOutcome> {
    return this.mustAppend(this.events(to, command));
  }

  /** What has begun must be recorded to its end, however much waits before it. */
  private async mustAppend(events: Append): Promise<AppendOutcome> {
    for (;;) {
      try {
        return await this.log.append(events);
      } catch (error) {
        if (!(error instanceof LogOverloaded)) throw error;
        await delay(OVERLOAD_PAUSE_MS);
      }
    }
  }

  private events<T extends Command['type']>(
    to: Addressee,
    command: Omit<CommandOf<T>, Issued>,
  ): Append {
    const issued = {
      ...command,
      sessionId: to.sessionId,
      at: new Date().toISOString(),
      newId: randomUUID,
    };
    const decision = decide(issued as unknown as Command, to.state);
    if (decision.type === 'refused')
      throw new Error(`a turn's fact was refused: ${decision.reason}`);
    return decision.events;
  }
}

interface Addressee {
  readonly sessionId: string;
  readonly state: SessionState;
}

/** A provider's message may be long; the log keeps its beginning. */
function bounded(error: TurnError): TurnError {
  return { code: error.code, message: error.message.slice(0, 4_000) };
}
