import type { CallerPresence, LogEvent } from '#libs/protocol';
import type { SessionState, TurnEntry } from '../../src/index.js';
import { evolve, initialState, startedTurns } from '../../src/index.js';
import * as event from './events.js';

/** One step of a made-up history. Numbers choose among what there is; they may be any. */
export type Move =
  | {
      readonly type: 'start';
      readonly stale: boolean;
      /** Its writer had not seen the last turn. */
      readonly unseen: boolean;
      readonly keeps: number;
      readonly messages: number;
      readonly system: boolean;
      /** Of one that has waited: which of those that were ever queued; else the head. */
      readonly waited: number | undefined;
      readonly entry: TurnEntry;
    }
  | { readonly type: 'queue'; readonly holder: number }
  /** `known`: it was queued, or else has never been heard of. */
  | {
      readonly type: 'withdraw';
      readonly turn: number;
      readonly known: boolean;
      readonly forgotten: boolean;
    }
  | { readonly type: 'adopt'; readonly stale: boolean; readonly known: boolean }
  | {
      readonly type: 'end';
      readonly how: 'completed' | 'failed' | 'cancelled';
      readonly attempt: number;
      readonly caller: CallerPresence;
      readonly snapshot: boolean;
    }
  /** Whoever took the claim to stop a turn states its end. */
  | { readonly type: 'stop'; readonly stale: boolean; readonly attempt: number }
  | { readonly type: 'undelivered'; readonly turn: number }
  | { readonly type: 'attach'; readonly gateway: number }
  | { readonly type: 'detach'; readonly attach: number }
  | { readonly type: 'acknowledge'; readonly attach: number; readonly seq: number }
  | { readonly type: 'export' }
  /** An event that stood before comes once more. */
  | { readonly type: 'copy'; readonly event: number };

/**
 * A log of one session as its writers might have left it: attempts that lost their claim, late
 * detaches, repeats. Each event stands behind what caused it. `number` tells sessions apart, and
 * their ids.
 */
export function randomLog(moves: readonly Move[], number = 1): readonly LogEvent[] {
  const history = new History(number);
  for (const move of moves) history.move(move);
  return history.log;
}

class History {
  readonly log: LogEvent[] = [];
  private state: SessionState = initialState;
  private epoch = 1000;
  private ids = 0;
  private readonly attempts: { readonly turn: string; readonly epoch: number }[] = [];
  private readonly queued: string[] = [];
  private readonly attaches: string[] = [];
  private readonly ended: string[] = [];

  constructor(private readonly number: number) {}

  move(move: Move): void {
    const told = this.told();
    switch (move.type) {
      case 'start': {
        const turn = move.entry === 'queued' ? this.toStart(move.waited) : this.newId();
        if (turn === undefined) return;
        const epoch = this.claim(move.stale);
        const messages = Array.from({ length: move.messages }, (_, at) =>
          event.user(`Question ${this.ids}.${at}`),
        );
        const system = move.system
          ? [{ role: 'system' as const, content: `Be ${this.ids}.` }]
          : undefined;
        const runner = event.processAt(epoch % 3);
        const turns = this.state.phase === 'open' ? startedTurns(this.state) : 0;
        const details = {
          turn,
          runner,
          messages,
          after: move.unseen ? Math.max(0, turns - 1) : turns,
          keeps: move.keeps,
          entry: move.entry,
          ...(system === undefined ? {} : { system }),
        };
        const started = event.turnStarted(epoch, { ...told, ...details });
        this.attempts.push({ turn, epoch });
        if (this.state.phase === 'unopened') this.append(event.sessionOpened(epoch, told));
        this.append(started);
        return;
      }
      case 'queue': {
        if (this.state.phase === 'unopened') return;
        const turn = this.newId();
        this.queued.push(turn);
        this.append(event.turnQueued({ ...told, turn, holder: event.processAt(move.holder) }));
        return;
      }
      case 'withdraw': {
        if (this.state.phase === 'unopened') return;
        const turn = move.known ? fromEnd(this.queued, move.turn) : this.newId();
        if (turn === undefined) return;
        const code = move.forgotten ? null : 'SBP_TURN_CANCELLED';
        this.append(event.turnWithdrawn({ ...told, turn, code }));
        return;
      }
      case 'adopt': {
        const turn = (move.known ? this.attempts.at(-1)?.turn : undefined) ?? this.newId();
        const epoch = this.claim(move.stale);
        this.attempts.push({ turn, epoch });
        this.append(
          event.turnAdopted(epoch, { ...told, turn, runner: event.processAt(epoch % 3) }),
        );
        return;
      }
      case 'end': {
        const attempt = fromEnd(this.attempts, move.attempt);
        if (attempt === undefined) return;
        const snapshot = move.snapshot ? this.newId() : null;
        const messages = [event.assistant(`Answer ${this.ids}.`)];
        const details = { ...told, turn: attempt.turn, caller: move.caller, snapshot, messages };
        this.append(endings[move.how](attempt.epoch, details));
        return;
      }
      case 'stop': {
        const attempt = fromEnd(this.attempts, move.attempt);
        if (attempt === undefined) return;
        this.append(event.turnCancelled(this.claim(move.stale), { ...told, turn: attempt.turn }));
        return;
      }
      case 'undelivered': {
        const turn = fromEnd(this.ended, move.turn);
        if (turn !== undefined) this.append(event.turnUndelivered(turn, told));
        return;
      }
      case 'attach': {
        if (this.state.phase === 'unopened') return;
        const attachId = this.newId();
        this.attaches.push(attachId);
        this.append(
          event.surfaceAttached(attachId, { ...told, gateway: event.processAt(10 + move.gateway) }),
        );
        return;
      }
      case 'detach': {
        const attachId = fromEnd(this.attaches, move.attach);
        if (attachId !== undefined) this.append(event.surfaceDetached(attachId, told));
        return;
      }
      case 'acknowledge': {
        const attachId = fromEnd(this.attaches, move.attach);
        const head = this.state.phase === 'open' ? this.state.head : 0;
        if (attachId !== undefined && head > 0) {
          this.append(event.surfaceAcknowledged(1 + (move.seq % head), attachId, told));
        }
        return;
      }
      case 'export':
        if (this.state.phase === 'open') this.append(event.sessionExported(this.newId(), told));
        return;
      case 'copy': {
        const event = fromEnd(this.log, move.event);
        if (event !== undefined) this.append(event);
      }
    }
  }

  /** A turn that waits, or one that has. */
  private toStart(waited: number | undefined): string | undefined {
    if (waited !== undefined) return fromEnd(this.queued, waited);
    return this.state.phase === 'open' ? this.state.waiting[0]?.turnId : undefined;
  }

  private append(event: LogEvent): void {
    this.log.push(event);
    const { state, changes } = evolve(this.state, event);
    this.state = state;
    for (const change of changes) if (change.type === 'turn-ended') this.ended.push(change.turnId);
  }

  /** A claim's epoch; `stale`: one that was won before the last one, and is used only now. */
  private claim(stale: boolean): number {
    if (stale) return this.epoch - 5;
    this.epoch += 10;
    return this.epoch;
  }

  private told() {
    return {
      session: event.id(0x5e55000000 + this.number),
      at: event.instant(this.log.length * 1000),
    };
  }

  private newId(): string {
    this.ids += 1;
    return event.id(this.number * 0x1000000 + this.ids);
  }
}

const endings = {
  completed: event.turnCompleted,
  failed: event.turnFailed,
  cancelled: event.turnCancelled,
};

function fromEnd<T>(list: readonly T[], index: number): T | undefined {
  return list.length === 0 ? undefined : list[list.length - 1 - (index % list.length)];
}
