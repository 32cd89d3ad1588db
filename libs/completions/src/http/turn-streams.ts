import type { ServerResponse } from 'node:http';
import type { MailboxMessage } from '#libs/mailbox';
import { Mailbox } from '#libs/mailbox';
import { ProcessIdentity, SessionReads } from '#libs/store';
import type { TurnRecord } from '#libs/store';
import { Injectable } from '@nestjs/common';
import { beginResponse } from './begin-response.js';
import type { Place } from './turn-stream.js';
import { TurnStream } from './turn-stream.js';

/** The readers of turns over HTTP that this process serves. */
@Injectable()
export class TurnStreams {
  private readonly streams = new Map<string, TurnStream>();

  constructor(
    private readonly reads: SessionReads,
    private readonly mailbox: Mailbox,
    private readonly identity: ProcessIdentity,
  ) {}

  /** Answers with the turn from `at` on; resolves when its reader has its end, or is gone. */
  async serve(
    sessionId: string,
    turn: TurnRecord,
    at: Place | null,
    response: ServerResponse,
    prepared: Readonly<Record<string, string>>,
  ): Promise<void> {
    const { reads, mailbox } = this;
    const parts = { reads, mailbox, process: this.identity.address };
    const stream = new TurnStream(parts, sessionId, turn, at, response);
    this.streams.set(stream.id, stream);
    beginResponse(response, 200, {
      ...prepared,
      'content-type': 'text/event-stream; charset=utf-8',
      'cache-control': 'no-cache',
      'x-accel-buffering': 'no',
    });
    try {
      await stream.run();
    } finally {
      this.streams.delete(stream.id);
    }
  }

  /** A message of this process' mailbox; those of other kinds are somebody else's. */
  accept(message: MailboxMessage): void {
    if (message.type === 'live') this.streams.get(message.attach_id)?.accept(message);
  }
}
