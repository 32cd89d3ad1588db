import type { MadeRound, OpenSession } from '#libs/domain';
import { callsOf, dueAt } from '#libs/domain';
import type { PendingCall } from '#libs/protocol';
import type { StoredRound } from '#libs/store';
import { Freshness, ToolReads } from '#libs/store';
import { CallWatch } from '#libs/tools';
import { Injectable } from '@nestjs/common';
import type { TurnAttempt } from '../turn/turn-attempt.js';
import { TurnEvents } from '../turn/turn-events.js';

/** What has come of a round of calls. */
export type RoundOutcome =
  | {
      readonly type: 'returned';
      /** All rounds of the turn so far. */
      readonly rounds: readonly StoredRound[];
      /** The session when the last call had its outcome. */
      readonly state: OpenSession;
    }
  /** Every call that has not returned waits for a human or a device: the turn is to be parked. */
  | { readonly type: 'waiting'; readonly calls: readonly PendingCall[] }
  /** The turn has ended, or is run by somebody else. */
  | { readonly type: 'lost' }
  /** The log will never take it. */
  | { readonly type: 'rejected'; readonly detail: string };

/**
 * Calls tools of the surface: states a round in the log, and waits until the fold has an outcome of
 * each call [A18]. It sends nothing itself: the gateway that has the surface sees the calls there.
 * A call whose time is over gets its outcome here.
 */
@Injectable()
export class ToolRounds {
  constructor(
    private readonly events: TurnEvents,
    private readonly freshness: Freshness,
    private readonly tools: ToolReads,
    private readonly watch: CallWatch,
  ) {}

  /** @throws the signal's reason */
  async call(attempt: TurnAttempt, made: MadeRound, signal: AbortSignal): Promise<RoundOutcome> {
    const appended = await this.events.callTools(attempt, made);
    if (appended.type === 'rejected') return appended;
    await this.freshness.untilFolded(appended.position);
    return this.outcome(attempt, signal);
  }

  /** As `call`, of the round that the fold has as the last. @throws the signal's reason */
  async outcome(attempt: TurnAttempt, signal: AbortSignal): Promise<RoundOutcome> {
    const { sessionId, turnId, epoch } = attempt;
    return this.watch.until<RoundOutcome>(
      sessionId,
      async (state) => {
        const turn = state.phase === 'open' ? state.turn : null;
        if (state.phase !== 'open' || turn?.turnId !== turnId || turn.epoch !== epoch) {
          return { type: 'over', value: { type: 'lost' } };
        }
        const calls = callsOf(state, turnId);
        if (calls.length === 0) {
          const rounds = await this.tools.rounds(sessionId, [turn.number]);
          return { type: 'over', value: { type: 'returned', rounds, state } };
        }
        if ((dueAt(state) ?? 0) <= Date.now()) return { type: 'open', calls };
        const pending = await this.tools.pending(sessionId, calls);
        return { type: 'over', value: { type: 'waiting', calls: pending } };
      },
      signal,
    );
  }
}
