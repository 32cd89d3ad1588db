import type { CallerPresence } from '#libs/protocol';
import { SbpError } from '#libs/protocol';
import { ProcessIdentity, UnconfirmedAnswers } from '#libs/store';
import { Injectable } from '@nestjs/common';
import type { TurnAttempt } from '../turn/turn-attempt.js';
import { TurnEvents } from '../turn/turn-events.js';
import type { RunReader, TurnOutcome } from '../turn/turn-runner.js';
import type { Caller, SessionHeaders } from './caller.js';
import { sbpAnswer, withSbp } from './sbp-answer.js';

/** The HTTP caller who asked for a turn. */
export interface Audience {
  readonly caller: Caller;
  readonly session: SessionHeaders;
  readonly showUsage: boolean;
  /** Whether the turn is to be cancelled when the caller goes away. */
  readonly endsWithCaller: boolean;
}

/** A run as its own caller reads it: the model's chunks as they come. */
export function readerFor({ caller, session, showUsage, endsWithCaller }: Audience): RunReader {
  return {
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
  ) {}

  async give(attempt: TurnAttempt, outcome: TurnOutcome, audience: Audience): Promise<void> {
    const { caller, session } = audience;
    switch (outcome.type) {
      case 'unstarted':
        await caller.fail(outcome.error, null);
        return;
      case 'elsewhere':
        await caller.fail(goesOnElsewhere(outcome.why), session);
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
        await this.account(attempt, outcome.caller, await caller.fail(cancelled(), session));
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

const REASONS = {
  lost: 'Another process has taken the turn over',
  'handed-over': 'This process ends',
  failed: 'This process cannot go on with the turn',
} as const;

function cancelled(): SbpError {
  return new SbpError('SBP_TURN_CANCELLED', 'The turn was cancelled.', { begun: true });
}

/** Nothing here invites to ask again, because the turn goes on, or has ended, elsewhere. */
function goesOnElsewhere(why: keyof typeof REASONS): SbpError {
  return new SbpError(
    'SBP_UPSTREAM_UNAVAILABLE',
    `${REASONS[why]}; it goes on without this connection, and its answer waits in the session.`,
    { begun: true },
  );
}
