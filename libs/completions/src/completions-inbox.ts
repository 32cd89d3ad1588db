import { LiveTurns } from '#libs/live';
import type { MailboxMessage } from '#libs/mailbox';
import { SessionPokes } from '#libs/tools';
import { Injectable } from '@nestjs/common';
import { TurnFollowers } from './http/turn-followers.js';
import { ParkedTurns } from './tools/parked-turns.js';
import { WaitingTurns } from './queue/waiting-turns.js';
import { RunStops } from './turn/run-stops.js';

/** Passes messages of the process' mailbox to the parts that they are for. */
@Injectable()
export class CompletionsInbox {
  constructor(
    private readonly live: LiveTurns,
    private readonly stops: RunStops,
    private readonly followers: TurnFollowers,
    private readonly waiting: WaitingTurns,
    private readonly pokes: SessionPokes,
    private readonly parked: ParkedTurns,
  ) {}

  accept(message: MailboxMessage): void {
    this.live.accept(message);
    this.stops.accept(message);
    this.followers.accept(message);
    this.waiting.accept(message);
    this.pokes.accept(message);
    this.parked.accept(message);
  }
}
