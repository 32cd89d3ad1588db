import type { CallerPresence, LogEvent } from '#libs/protocol';
import type { LifeChange, SessionState, TurnEntry } from '../../src/index.js';
import { evolve, initialState, startedTurns } from '../../src/index.js';
import * as event from './events.js';
import { toolCalled, toolDecided, toolReturned, toolsCalled } from './tool-events.js';

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
  /** `tools`: whether it has the tool that models call. */
  | { readonly type: 'attach'; readonly gateway: number; readonly tools: boolean }
  | { readonly type: 'detach'; readonly attach: number }
  | { readonly type: 'acknowledge'; readonly attach: number; readonly seq: number }
  /** A model calls tools; `how`: what becomes of the calls. */
  | {
      readonly type: 'call';
      readonly attempt: number;
      readonly calls: number;
      readonly how: 'refused' | 'fail' | 'wait' | 'approval';
    }
  | { readonly type: 'client-call'; readonly attach: number }
  | { readonly type: 'return'; readonly call: number }
  | { readonly type: 'decide'; readonly call: number; readonly approved: boolean }
  | { readonly type: 'park'; readonly attempt: number }
  /** Whoever took a claim for it says how the session goes on. */
  | { readonly type: 'live'; readonly to: LifeChange; readonly stale: boolean }
  | { readonly type: 'revoke'; readonly generation: number }
  | { readonly type: 'export' }
  | { readonly type: 'consume'; readonly export: number; readonly revoked: boolean }
  | { readonly type: 'hand-off'; readonly stale: boolean }
  /** Before it is opened: it is opened with parts that were copied. */
  | { readonly type: 'restore'; readonly parts: number; readonly note: boolean }
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
  private readonly exported: string[] = [];
  private readonly attaches: string[] = [];
  private readonly ended: string[] = [];
  private readonly calls: string[] = [];
  /** By turn, the messages that its rounds have added. */
  private readonly added = new Map<string, number>();

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
        const added = this.added.get(attempt.turn) ?? 0;
        const caused = { caller: move.caller, snapshot, messages, added };
        const details = { ...told, turn: attempt.turn, ...caused };
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
          event.surfaceAttached(attachId, {
            ...told,
            gateway: event.processAt(10 + move.gateway),
            context: move.tools ? { mcp_tools: ['gps'] } : {},
          }),
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
      case 'call': {
        const attempt = fromEnd(this.attempts, move.attempt);
        if (attempt !== undefined) this.call(attempt, move.calls, move.how);
        return;
      }
      case 'client-call': {
        const attachId = fromEnd(this.attaches, move.attach);
        if (attachId === undefined) return;
        const call = this.newId();
        this.calls.push(call);
        this.append(toolCalled(call, { ...told, attachId }));
        return;
      }
      case 'return': {
        const call = fromEnd(this.calls, move.call);
        if (call !== undefined) this.append(toolReturned(call, { ...told, result: this.ids }));
        return;
      }
      case 'decide': {
        const call = fromEnd(this.calls, move.call);
        if (call !== undefined) this.append(toolDecided(call, move.approved, told));
        return;
      }
      case 'park': {
        const attempt = fromEnd(this.attempts, move.attempt);
        if (attempt !== undefined) {
          this.append(event.turnParked(attempt.epoch, { ...told, turn: attempt.turn }));
        }
        return;
      }
      case 'live':
        if (this.state.phase === 'open') {
          this.append(event.sessionLived(move.to, this.claim(move.stale), told));
        }
        return;
      case 'revoke':
        if (this.state.phase === 'open') {
          this.append(event.tokensRevoked(1 + move.generation, told));
        }
        return;
      case 'export':
        if (this.state.phase === 'open') {
          const exported = this.newId();
          this.exported.push(exported);
          this.append(event.sessionExported(exported, told));
        }
        return;
      case 'consume': {
        const exported = fromEnd(this.exported, move.export);
        if (exported === undefined) return;
        const successor = this.newId();
        this.append(
          move.revoked
            ? event.exportRevoked(exported, told)
            : event.exportConsumed(exported, { ...told, successor }),
        );
        return;
      }
      case 'hand-off':
        if (this.state.phase === 'unopened') return;
        this.append(
          event.sessionHandedOff(this.claim(move.stale), { ...told, successor: this.newId() }),
        );
        return;
      case 'restore':
        this.restore(move.parts, move.note);
        return;
      case 'copy': {
        const event = fromEnd(this.log, move.event);
        if (event !== undefined) this.append(event);
      }
    }
  }

  private restore(parts: number, note: boolean): void {
    if (this.state.phase !== 'unopened') return;
    let first = 0;
    const epoch = this.claim(false);
    for (let part = 1; part <= parts; part++) {
      const messages = [event.user(`Before ${part}.`), event.assistant(`Then ${part}.`)];
      this.append(event.sessionRestored(part, epoch, { ...this.told(), messages, first }));
      first += messages.length;
    }
    const told = { ...this.told(), parts, messages: first };
    const opened = note ? { ...told, note: 'It was copied.' } : told;
    this.append(event.importOpened(epoch, opened));
  }

  private call(
    { turn, epoch }: { readonly turn: string; readonly epoch: number },
    count: number,
    how: Extract<Move, { type: 'call' }>['how'],
  ): void {
    if (this.state.phase === 'unopened') return;
    const { turn: open } = this.state;
    const refused = how === 'refused';
    const calls = Array.from({ length: count }, () => this.newId());
    if (!refused) this.calls.push(...calls);
    const round = (open?.turnId === turn ? open.rounds : 0) + 1;
    const onSurfaceLost = how === 'wait' ? ('wait' as const) : ('fail' as const);
    const called = {
      turn,
      round,
      calls,
      refused,
      needsApproval: how === 'approval',
      onSurfaceLost,
    };
    this.append(toolsCalled(epoch, { ...this.told(), ...called }));
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
    for (const change of changes) {
      if (change.type === 'turn-ended') this.ended.push(change.turnId);
      if (change.type !== 'tools-called') continue;
      const { turnId, data } = change;
      this.added.set(turnId, (this.added.get(turnId) ?? 0) + 1 + data.calls.length);
    }
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
