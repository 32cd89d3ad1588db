import type { MailboxMessage } from '#libs/mailbox';
import { Mailbox } from '#libs/mailbox';
import type { ProcessAddress } from '#libs/protocol';
import { Claims, ProcessIdentity } from '#libs/store';
import { within } from '#libs/timing';
import { Injectable } from '@nestjs/common';
import type { StoppedRun } from './running-turns.js';
import { RunningTurns } from './running-turns.js';

/** How long a runner may take to say what it had, in ms; it may be dead. */
const REPLY_MS = 1_000;

/** A run that is to end, because its claim was taken. */
export interface StoppableRun {
  readonly sessionId: string;
  readonly turnId: string;
  readonly runner: ProcessAddress;
}

/** Ends runs, here or in other processes, whose claim was taken to stop them [A13]. */
@Injectable()
export class RunStops {
  /** Who waits for the word of a runner, by the turn. */
  private readonly waiting = new Map<string, (stopped: StoppedRun) => void>();

  constructor(
    private readonly running: RunningTurns,
    private readonly claims: Claims,
    private readonly mailbox: Mailbox,
    private readonly identity: ProcessIdentity,
  ) {}

  /** A message of this process' mailbox; those of other kinds are somebody else's. */
  accept(message: MailboxMessage): void {
    if (message.type === 'stopped') {
      this.waiting.get(message.turn_id)?.(message);
      return;
    }
    if (message.type !== 'stop') return;
    const { session_id, turn_id, reply_to: replyTo } = message;
    const stopped = this.stopHere(turn_id);
    void this.mailbox.send(replyTo, { type: 'stopped', session_id, turn_id, ...stopped });
  }

  /** What the run had come to; its runner has ended its call of the model, or does not answer. */
  async stop({ sessionId, turnId, runner }: StoppableRun): Promise<StoppedRun> {
    const { address } = this.identity;
    if (runner.incarnation === address.incarnation) return this.stopHere(turnId);
    const reply = Promise.withResolvers<StoppedRun>();
    this.waiting.set(turnId, reply.resolve);
    void this.mailbox.send(runner, {
      type: 'stop',
      session_id: sessionId,
      turn_id: turnId,
      reply_to: address,
    });
    const stopped = await within(reply.promise, REPLY_MS);
    this.waiting.delete(turnId);
    return stopped === 'late' ? nothing : stopped;
  }

  private stopHere(turnId: string): StoppedRun {
    const stopped = this.running.stop(turnId);
    if (stopped !== null) return stopped;
    // Its claim was won here, and its run is about to begin: that ends at once.
    if (!this.claims.inUse.isForRun(turnId)) return nothing;
    this.running.stopBeforeItBegins(turnId);
    return { caller: 'connected', usage: null };
  }
}

const nothing: StoppedRun = { caller: 'gone', usage: null };
