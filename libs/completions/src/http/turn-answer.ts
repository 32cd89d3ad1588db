import type { CallerPresence, SbpAccepted, SbpError } from '#libs/protocol';
import { isOutage } from '#libs/sql';
import { ProcessIdentity, SessionReads, UnconfirmedAnswers } from '#libs/store';
import { backOff } from '#libs/timing';
import { Injectable } from '@nestjs/common';
import { settled } from '../turn/settled.js';
import type { TurnAttempt } from '../turn/turn-attempt.js';
import { TurnEvents } from '../turn/turn-events.js';
import type { RunReader, TurnOutcome } from '../turn/turn-outcome.js';
import { ACCEPTED } from './answer-heads.js';
import { goesOnElsewhere, turnWasCancelled } from './answer-errors.js';
import { JoinedAnswers } from './joined-answers.js';
import type { Joiner } from './joiner.js';
import { tellParked } from './parked-answer.js';
import { sbpAnswer, withSbp } from './sbp-answer.js';

/** For how long a database that does not answer is asked for a turn, in ms. */
const LOOKS_MS = 30_000;

/** The HTTP caller who asked for a turn. */
export interface Audience extends Joiner {
  /** Whether the turn is to be cancelled when the caller goes away. */
  readonly endsWithCaller: boolean;
  /** Whether the caller is answered before the turn runs, and the answer waits in the session. */
  readonly isBackground: boolean;
}

/** A run as its own caller reads it: the model's chunks as they come. */
export function readerFor(audience: Audience, answer: TurnAnswer): RunReader {
  const { caller, session, streams, showUsage, endsWithCaller, isBackground } = audience;
  const awaited = { ...nobody, isAwaited: () => isAwaited(caller) };
  if (isBackground) return { ...awaited, started: () => void answer.accept(audience) };
  return {
    ...awaited,
    streams,
    showUsage,
    presence: () => (caller.connected ? 'connected' : 'gone'),
    onLeft: (listener) => {
      if (!endsWithCaller) return;
      if (caller.connected) caller.onGone(listener);
      else listener();
    },
    begin: (head) => caller.begin(head, session),
    chunk: (data, id) => caller.chunk(data, id),
  };
}

/** Whether somebody is there who has not been answered. */
export function isAwaited({ connected, answered }: Audience['caller']): boolean {
  return connected && !answered;
}

/** Nobody reads a turn over HTTP: its answer waits in the session. */
export const nobody: RunReader = {
  streams: false,
  showUsage: false,
  presence: () => 'gone',
  isAwaited: () => false,
  onLeft: () => undefined,
  started: () => undefined,
  begin: () => undefined,
  chunk: () => undefined,
};

/**
 * Answers the caller who asked for a turn [A15]. Whether the answer arrived is seen to afterwards:
 * one that was promised to a caller who is not there any more goes to the Tether instead.
 */
@Injectable()
export class TurnAnswer {
  constructor(
    private readonly events: TurnEvents,
    private readonly unconfirmed: UnconfirmedAnswers,
    private readonly identity: ProcessIdentity,
    private readonly reads: SessionReads,
    private readonly joins: JoinedAnswers,
  ) {}

  /** Answers the caller of a turn that runs in the background: it is in the log, and will end. */
  async accept({ caller, session, turnId }: Joiner): Promise<void> {
    if (caller.answered) return;
    const sbp: SbpAccepted = {
      session_id: session.sessionId,
      session_token: session.sessionToken,
      turn_id: turnId,
      resume_available: false,
    };
    await caller.answer(ACCEPTED, session, { sbp });
  }

  /**
   * Answers the caller of a turn that waited here and waits no more: somebody else started or
   * withdrew it. `error`: what he is told if nothing is left of it.
   */
  async notOurs(audience: Audience, error: SbpError = turnWasCancelled()): Promise<void> {
    const { caller, session, turnId } = audience;
    if (caller.answered) return;
    if (await this.mayBeKnown(session.sessionId, turnId)) await this.joins.give(audience);
    else await caller.fail(error, null);
  }

  /** Tells the caller of a turn that waits here that it does so without him. */
  async goesOn({ caller, session }: Audience): Promise<void> {
    if (!caller.answered) await caller.fail(goesOnElsewhere('failed'), session);
  }

  /** False where it is certain that there is no such turn, which may take a while to learn. */
  private async mayBeKnown(sessionId: string, turnId: string): Promise<boolean> {
    const deadline = performance.now() + LOOKS_MS;
    for (let looks = 1; performance.now() < deadline; looks++) {
      const turn = await settled(this.reads.attempt(sessionId, turnId));
      if (turn.type === 'resolved') return turn.value !== null;
      if (!isOutage(turn.error)) throw turn.error;
      await backOff(looks);
    }
    return true;
  }

  async give(attempt: TurnAttempt, outcome: TurnOutcome, audience: Audience): Promise<void> {
    const { caller, session } = audience;
    // Its caller knows it by its id.
    if (audience.isBackground && caller.answered) return;
    switch (outcome.type) {
      case 'unstarted':
        await caller.fail(outcome.error, null);
        return;
      case 'elsewhere':
        if (outcome.why === 'lost' && outcome.sent.isPlain) {
          await this.joins.give(audience, outcome.sent);
        } else await caller.fail(goesOnElsewhere(outcome.why), session);
        return;
      case 'parked':
        await tellParked(audience, outcome.calls);
        return;
      case 'completed':
        await this.account(attempt, outcome.caller, await complete(attempt, outcome, audience));
        return;
      case 'refused': {
        const told = await caller.relay(outcome.head, session, outcome.body);
        await this.account(attempt, outcome.caller, told);
        return;
      }
      case 'cancelled':
        await this.account(attempt, outcome.caller, await caller.fail(turnWasCancelled(), session));
        return;
      case 'failed':
        await this.account(attempt, outcome.caller, await caller.fail(outcome.error, session));
    }
  }

  private async account(
    { sessionId, turnId }: TurnAttempt,
    callerThen: CallerPresence,
    isTold: boolean,
  ): Promise<void> {
    if (callerThen === 'gone') return;
    if (!isTold) await this.events.undelivered(sessionId, turnId);
    const { incarnation } = this.identity.address;
    this.unconfirmed.confirm({ sessionId, turnId, incarnation });
  }
}

async function complete(
  attempt: TurnAttempt,
  { head, answer, event, place }: Extract<TurnOutcome, { type: 'completed' }>,
  { caller, session }: Audience,
): Promise<boolean> {
  const sbp = sbpAnswer(attempt, session, event);
  if (answer.type === 'json') return caller.answer(head, session, { ...answer.body, sbp });
  for (const data of withSbp(answer.held, sbp)) caller.chunk(data, place);
  return caller.done();
}
