import { Injectable } from '@nestjs/common';
import type { MailboxMessage, MailboxMessageOf } from '#libs/mailbox';
import { Mailbox } from '#libs/mailbox';
import type { ProcessAddress } from '#libs/protocol';
import { TurnText } from './turn-text.js';

/** UTF-16 code units in one live message. */
const MAX_SLICE = 256 * 1024;
/**
 * Readers that may watch one turn at a time: a surface, those that are just being replaced, and
 * streams over HTTP. One that had to go asks again.
 */
const MAX_WATCHERS = 32;

interface Watcher {
  readonly attachId: string;
  readonly to: ProcessAddress;
  sent: number;
}

/**
 * The text of one attempt at a turn while it runs, and the gateways that watch it. Losable: the
 * committed turn repairs it.
 */
export class LiveTurn {
  readonly begunAt = performance.now();
  private text = new TurnText();
  private ended = false;
  private readonly watchers = new Map<string, Watcher>();
  private readonly pumping = new WeakSet<Watcher>();

  constructor(
    readonly sessionId: string,
    readonly turnId: string,
    readonly epoch: number,
    /** Ends the attempt: its claim is lost. */
    readonly drop: () => void,
    private readonly mailbox: Mailbox,
  ) {}

  append(delta: string): void {
    if (delta === '') return;
    this.text.append(delta);
    for (const watcher of this.watchers.values()) this.pump(watcher);
  }

  end(): void {
    this.ended = true;
    // Whoever still holds the turn need not hold its text.
    this.text = new TurnText();
    this.watchers.clear();
  }

  watch(message: MailboxMessageOf<'watch'>): void {
    const { attach_id: attachId, reply_to: to, offset } = message;
    const watcher: Watcher = { attachId, to, sent: offset };
    this.watchers.delete(attachId);
    const [oldest] = this.watchers.keys();
    if (this.watchers.size >= MAX_WATCHERS && oldest !== undefined) this.watchers.delete(oldest);
    this.watchers.set(attachId, watcher);
    this.pump(watcher, true);
  }

  /**
   * Sends what a watcher lacks; what comes while one message is being sent is merged into the next.
   */
  private pump(watcher: Watcher, answer = false): void {
    if (this.pumping.has(watcher)) return;
    this.pumping.add(watcher);
    void this.send(watcher, answer);
  }

  private async send(watcher: Watcher, answer: boolean): Promise<void> {
    // A watch is answered even when there is nothing yet, so that the gateway knows it was heard.
    let owed = answer;
    while (!this.ended && this.watchers.get(watcher.attachId) === watcher) {
      const offset = watcher.sent;
      const text = this.text.read(offset, MAX_SLICE);
      if (text === '' && !owed) break;
      owed = false;
      watcher.sent = offset + text.length;
      await this.mailbox.send(watcher.to, {
        type: 'live',
        session_id: this.sessionId,
        turn_id: this.turnId,
        epoch: this.epoch,
        attach_id: watcher.attachId,
        offset,
        text,
      });
    }
    // No `await` may stand between the check above and this line, because an `append` in between
    // would not start a new pump.
    this.pumping.delete(watcher);
  }
}

/** The turns that this process runs now. */
@Injectable()
export class LiveTurns {
  private readonly turns = new Map<string, LiveTurn>();

  constructor(private readonly mailbox: Mailbox) {}

  begin(sessionId: string, turnId: string, epoch: number, drop: () => void): LiveTurn {
    const turn = new LiveTurn(sessionId, turnId, epoch, drop, this.mailbox);
    this.turns.set(key(sessionId, epoch), turn);
    return turn;
  }

  end(turn: LiveTurn): void {
    turn.end();
    this.turns.delete(key(turn.sessionId, turn.epoch));
  }

  /** A message of this process' mailbox; those of other kinds are somebody else's. */
  accept(message: MailboxMessage): void {
    if (message.type !== 'watch') return;
    const turn = this.turns.get(key(message.session_id, message.epoch));
    if (turn?.turnId === message.turn_id) turn.watch(message);
  }

  /**
   * Gives up the attempts whose claim is not among those held. `askedAt` (monotonic ms): when the
   * database was asked; attempts begun later are not judged.
   */
  keepOnly(held: ReadonlySet<string>, askedAt: number): void {
    for (const [id, turn] of this.turns) if (turn.begunAt < askedAt && !held.has(id)) turn.drop();
  }
}

function key(sessionId: string, epoch: number): string {
  return `${sessionId} ${epoch}`;
}
