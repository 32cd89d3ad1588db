import { randomUUID } from 'node:crypto';
import { FollowedTurn, completion } from '#libs/live';
import type { Mailbox, MailboxMessage } from '#libs/mailbox';
import type { ProcessAddress, ServerFrame } from '#libs/protocol';
import type { SessionReads, TurnGlance, TurnRecord } from '#libs/store';
import { hasEnded } from '#libs/store';

/** How often the read models are asked what became of the turn, in ms; at first more often. */
const LOOK_MS = 250;
const FIRST_LOOK_MS = 30;
/** After so many looks without text the runner is asked again: it may have forgotten us. */
const ASK_AGAIN = 8;

export type TextChunk = Extract<ServerFrame, { type: 'TURN_CHUNK' }>;

/** Who reads a turn that is followed. */
export interface TurnReader {
  /** Text of an attempt; of each attempt all text comes, from its beginning. */
  chunk(chunk: TextChunk): void;
  /** Nobody runs it now, because its calls wait; told again and again while that is so. */
  parked(): void;
}

export interface FollowerParts {
  readonly reads: SessionReads;
  readonly mailbox: Mailbox;
  /** Where text that is asked for is answered. */
  readonly process: ProcessAddress;
}

/**
 * Follows one turn to its end for a reader over HTTP, wherever it runs [A15]: the runner by `watch`
 * and `live`, as surfaces do, and the read models now and then: they say when the turn has started
 * or ended, or goes on as another attempt.
 */
export class TurnFollower {
  readonly id = randomUUID();
  private followed: FollowedTurn | null = null;
  private heard = Promise.withResolvers<undefined>();
  private isGone = false;
  private silentLooks = 0;

  constructor(
    private readonly parts: FollowerParts,
    private readonly sessionId: string,
    private readonly turnId: string,
    private readonly reader: TurnReader,
  ) {}

  /** The turn when it has ended; null where its reader has left, or it is none any more. */
  async run(): Promise<TurnRecord | null> {
    const { reads } = this.parts;
    for (let lookMs = FIRST_LOOK_MS; !this.isGone; lookMs = Math.min(2 * lookMs, LOOK_MS)) {
      const glance = await reads.attempt(this.sessionId, this.turnId);
      if (glance === null) return null;
      if (hasEnded(glance.status)) return this.end();
      if (glance.status === 'parked') this.reader.parked();
      if (glance.status === 'open') this.follow(glance);
      await this.textFor(lookMs);
    }
    return null;
  }

  /** Its reader is gone. */
  leave(): void {
    this.isGone = true;
    this.heard.resolve(undefined);
  }

  accept(message: Extract<MailboxMessage, { type: 'live' }>): void {
    if (this.followed?.accept(message) === 'nothing') return;
    this.silentLooks = 0;
    this.heard.resolve(undefined);
  }

  private follow({ epoch, runner }: TurnGlance): void {
    const earlier = this.followed;
    this.followed = FollowedTurn.follow(this.turnId, epoch, earlier);
    this.silentLooks += 1;
    const isNew = this.followed !== earlier;
    if (!isNew && this.followed.answering && this.silentLooks % ASK_AGAIN !== 0) return;
    const { process: replyTo, mailbox } = this.parts;
    const reader = { sessionId: this.sessionId, attachId: this.id, replyTo };
    void mailbox.send(runner, this.followed.watch(reader));
  }

  /** Passes on what is heard of the turn, for so long. */
  private async textFor(ms: number): Promise<void> {
    const time = { isOver: false };
    const timer = setTimeout(() => {
      time.isOver = true;
      this.heard.resolve(undefined);
    }, ms);
    while (!time.isOver && !this.isGone) {
      await this.heard.promise;
      this.heard = Promise.withResolvers();
      this.pass(this.followed?.takeChunk() ?? null);
      if (this.followed?.answering === false) break;
    }
    clearTimeout(timer);
  }

  /** The committed text is the truth, whatever was passed on. */
  private async end(): Promise<TurnRecord | null> {
    const turn = await this.parts.reads.turn(this.sessionId, this.turnId);
    if (turn === null || this.isGone) return null;
    const { turnId, status, epoch, error } = turn;
    if (!hasEnded(status)) return null;
    const text = status === 'completed' ? turn.text : '';
    const ended = { turnId, epoch, seq: 0, status, text, error };
    for (const frame of completion(this.followed?.shown ?? null, ended)) this.pass(frame);
    return turn;
  }

  private pass(frame: ServerFrame | null): void {
    if (frame?.type === 'TURN_CHUNK') this.reader.chunk(frame);
  }
}
