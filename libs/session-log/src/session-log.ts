import { randomUUID } from 'node:crypto';
import type { Decision, PlainCommand, SessionState } from '#libs/domain';
import { decide } from '#libs/domain';
import type { Append, AppendOutcome, LogPosition } from '#libs/event-log';
import { EventLog, LogOverloaded } from '#libs/event-log';
import type { Actor } from '#libs/protocol';
import { Freshness } from '#libs/store';
import { within, pause } from '#libs/timing';
import { Injectable } from '@nestjs/common';

/** One thing to be done to one session. */
export interface Execution {
  readonly sessionId: string;
  /** The session as far as its writer has waited for it; the command is decided on it. */
  readonly state: SessionState;
  readonly by: Actor;
  readonly command: PlainCommand;
}

/** What became of a command. */
export type Executed =
  | { readonly type: 'appended'; readonly events: Append; readonly position: LogPosition }
  /** The log will never take it. */
  | Extract<AppendOutcome, { type: 'rejected' }>
  /** The session is not in a state for it. */
  | Extract<Decision, { type: 'refused' }>;

/** As `Executed`; an append may also not be acknowledged, or not be folded, within the time. */
export type ExecutedAndFolded =
  | Exclude<Executed, { type: 'appended' }>
  | { readonly type: 'folded'; readonly events: Append; readonly position: LogPosition }
  /** `appended`: how the append, which goes on, will end; null where it was acknowledged. */
  | { readonly type: 'late'; readonly appended: Promise<Executed> | null };

/** For the log to acknowledge what a request waits for, and again for the fold, in ms. */
const RECORD_MS = 15_000;
/** Before an append is tried again that the log had no room for, in ms. */
const OVERLOAD_PAUSE_MS = 200;

/**
 * The one way in which anything is written to a session: decide on its state, stamp ids, time and
 * actor, append, and wait for the fold where the caller must see its own write [A5].
 */
@Injectable()
export class SessionLog {
  constructor(
    private readonly log: EventLog,
    private readonly freshness: Freshness,
  ) {}

  /** Appends what the command becomes. @throws LogOverloaded: nothing was begun */
  async execute(execution: Execution): Promise<Executed> {
    const { sessionId, state, by, command } = execution;
    const issued = { sessionId, by, at: new Date().toISOString(), newId: randomUUID };
    const decision = decide({ ...issued, ...command }, state);
    if (decision.type === 'refused') return decision;
    const { events } = decision;
    const outcome = await this.log.append(events);
    return outcome.type === 'rejected' ? outcome : { ...outcome, events };
  }

  /** As `execute`, however much waits before it: what has begun must be recorded to its end. */
  async insist(execution: Execution): Promise<Executed> {
    for (;;) {
      try {
        return await this.execute(execution);
      } catch (error) {
        if (!(error instanceof LogOverloaded)) throw error;
        await pause(OVERLOAD_PAUSE_MS);
      }
    }
  }

  /**
   * As `execute`, and waits until it is folded; `withinMs` for the acknowledgement, and again for
   * the fold. @throws LogOverloaded: nothing was begun
   */
  async executeAndFold(execution: Execution, withinMs = RECORD_MS): Promise<ExecutedAndFolded> {
    const executing = this.execute(execution);
    const executed = await within(executing, withinMs);
    if (executed === 'late') return { type: 'late', appended: executing };
    if (executed.type !== 'appended') return executed;
    const isFolded = await this.freshness.reached(executed.position, withinMs);
    return isFolded ? { ...executed, type: 'folded' } : { type: 'late', appended: null };
  }
}

/** The server acting by itself. */
export const SYSTEM: Actor = { principal: null, via: 'system' };
