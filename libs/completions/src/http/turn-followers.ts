import type { MailboxMessage } from '#libs/mailbox';
import { Mailbox } from '#libs/mailbox';
import type { TurnRecord } from '#libs/store';
import { ProcessIdentity, SessionReads } from '#libs/store';
import { Injectable } from '@nestjs/common';
import type { TurnReader } from './turn-follower.js';
import { TurnFollower } from './turn-follower.js';

/** A turn that is being followed. */
export interface Following {
  /** As `TurnFollower.run`. */
  readonly ended: Promise<TurnRecord | null>;
  leave(): void;
}

/** The turns that this process follows for readers over HTTP. */
@Injectable()
export class TurnFollowers {
  private readonly followers = new Map<string, TurnFollower>();

  constructor(
    private readonly reads: SessionReads,
    private readonly mailbox: Mailbox,
    private readonly identity: ProcessIdentity,
  ) {}

  follow(sessionId: string, turnId: string, reader: TurnReader): Following {
    const { reads, mailbox } = this;
    const parts = { reads, mailbox, process: this.identity.address };
    const follower = new TurnFollower(parts, sessionId, turnId, reader);
    this.followers.set(follower.id, follower);
    const ended = follower.run().finally(() => this.followers.delete(follower.id));
    return { ended, leave: () => follower.leave() };
  }

  /** A message of this process' mailbox; those of other kinds are somebody else's. */
  accept(message: MailboxMessage): void {
    if (message.type === 'live') this.followers.get(message.attach_id)?.accept(message);
  }
}
