import type { Change, OpenSession, SessionState } from '#libs/domain';
import { evolve } from '#libs/domain';
import type { LogEvent, Usage } from '#libs/protocol';
import type { CountedSession, CountedTurn, Spent, TurnKeys } from './counted-session.js';
import { NOTHING_SPENT, column, deviceOf, prune } from './counted-session.js';
import { COUNTERS, ERROR_PREFIX, TOOL_PREFIX, durationCounts, nanoUsd, whole } from './counters.js';

/** Something to be counted for a session's turn or device. */
export interface Count extends TurnKeys {
  readonly counter: string;
  readonly value: number;
}

/** A turn that begins to wait in the Tether. */
export interface WaitingTurn extends TurnKeys {
  readonly seq: number;
}

export interface Counted {
  readonly session: CountedSession;
  readonly counts: readonly Count[];
  readonly waits: readonly WaitingTurn[];
}

const NO_TURN: TurnKeys = { model: '', device: '' };
const MODEL_LENGTH = 200;
const CODE_LENGTH = 64;

/**
 * What one event adds to the counters. The domain's fold decides what counts, as it does for the
 * read models [A3]: an end of a lost attempt, a repeat or an old acknowledgement makes no `Change`,
 * and so no count.
 */
export function countEvent(before: CountedSession, event: LogEvent): Counted {
  const { state, changes } = evolve(before.state, event);
  if (state.phase !== 'open') return { session: { ...before, state }, counts: [], waits: [] };
  const counting = new Counting(before, state, event);
  for (const change of changes) counting.take(change);
  const turns = changes.length === 0 ? before.turns : prune(state, counting.turns);
  return { session: { state, turns }, counts: counting.counts, waits: counting.waits };
}

class Counting {
  readonly counts: Count[] = [];
  readonly waits: WaitingTurn[] = [];
  readonly turns: Record<string, CountedTurn>;

  constructor(
    private readonly before: CountedSession,
    private readonly session: OpenSession,
    private readonly event: LogEvent,
  ) {
    this.turns = { ...before.turns };
  }

  take(change: Change): void {
    switch (change.type) {
      case 'turn-queued':
        this.turns[change.turnId] = this.begun(change.data.model);
        return;
      case 'turn-started':
        this.turns[change.turnId] = this.begun(change.model);
        return;
      case 'turn-adopted':
        this.add(this.keysOf(change.turnId), COUNTERS.adoptions);
        return;
      case 'tools-called':
        this.spend(change.turnId, change.data.usage, change.data.cost_usd);
        return;
      case 'turn-ended':
        this.ended(change);
        return;
      case 'turn-withdrawn': {
        const { turnId, status, errorCode, seq } = change;
        const keys = this.keysOf(turnId);
        this.add(keys, status === 'failed' ? COUNTERS.failed : COUNTERS.cancelled);
        if (status === 'failed') this.add(keys, `${ERROR_PREFIX}${column(errorCode, CODE_LENGTH)}`);
        this.owed(keys, seq);
        return;
      }
      case 'turn-owed':
        this.owed(this.keysOf(change.turnId), change.seq);
        return;
      case 'call-returned':
        this.add(this.callerOf(change.callId), `${TOOL_PREFIX}${change.outcome}`);
        return;
      case 'surface-attached':
        this.add({ model: '', device: deviceOf(this.session) }, COUNTERS.attaches);
        return;
      // They say where rows stand, or open what later changes count.
      case 'session-opened':
      case 'session-derived':
      case 'session-promised':
      case 'session-exported':
      case 'promise-kept':
      case 'part-restored':
      case 'copies-dropped':
      case 'note-added':
      case 'turn-forgotten':
      case 'turn-parked':
      case 'tool-called':
      case 'call-decided':
      case 'round-returned':
    }
  }

  private ended(change: Extract<Change, { type: 'turn-ended' }>): void {
    const { turnId, status, errorCode, usage, costUsd, seq } = change;
    const keys = this.keysOf(turnId);
    const spent = this.turns[turnId]?.spent ?? NOTHING_SPENT;
    this.add(keys, countedEnd(status));
    this.add(keys, COUNTERS.promptTokens, tokens(usage?.prompt_tokens, spent.promptTokens));
    this.add(
      keys,
      COUNTERS.completionTokens,
      tokens(usage?.completion_tokens, spent.completionTokens),
    );
    if (costUsd !== null) this.add(keys, COUNTERS.cost, nanoUsd(costUsd));
    else if (status === 'completed') this.add(keys, COUNTERS.withoutCost);
    else this.add(keys, COUNTERS.cost, spent.nanoUsd);
    if (status === 'failed' && errorCode !== null) {
      this.add(keys, `${ERROR_PREFIX}${column(errorCode, CODE_LENGTH)}`);
    }
    const { event } = this;
    if (status === 'completed' && event.type === 'turn.completed') {
      const { first_token_ms: first, model_ms: model } = event.data;
      if (first !== null) this.addAll(keys, durationCounts('first_token_ms', first));
      this.addAll(keys, durationCounts('model_ms', model));
    }
    this.owed(keys, seq);
  }

  /** A turn that is owed waits, unless a surface is there to read it. */
  private owed(keys: TurnKeys, seq: number | null): void {
    if (seq === null || this.session.surface.type === 'attached') return;
    this.add(keys, COUNTERS.waited);
    this.waits.push({ ...keys, seq });
  }

  private spend(turnId: string, usage: Usage | null, costUsd: number | null): void {
    const turn = this.turns[turnId];
    if (turn === undefined) return;
    const spent: Spent = {
      promptTokens: turn.spent.promptTokens + whole(usage?.prompt_tokens ?? 0),
      completionTokens: turn.spent.completionTokens + whole(usage?.completion_tokens ?? 0),
      nanoUsd: turn.spent.nanoUsd + nanoUsd(costUsd ?? 0),
    };
    this.turns[turnId] = { ...turn, spent };
  }

  private begun(model: string): CountedTurn {
    return {
      model: column(model, MODEL_LENGTH),
      device: deviceOf(this.session),
      spent: NOTHING_SPENT,
    };
  }

  private keysOf(turnId: string): TurnKeys {
    const { model, device } = this.turns[turnId] ?? NO_TURN;
    return { model, device };
  }

  /** Of the turn whose model made the call; a client of MCP has no model. */
  private callerOf(callId: string): TurnKeys {
    const call = callsOf(this.before.state).find((open) => open.callId === callId);
    if (call?.by.type === 'client') return { model: '', device: deviceOf(this.session) };
    const turnId = call?.by.turnId ?? ('turn_id' in this.event ? this.event.turn_id : null);
    return turnId === null ? NO_TURN : this.keysOf(turnId);
  }

  private addAll(keys: TurnKeys, counts: readonly (readonly [string, number])[]): void {
    for (const [counter, value] of counts) this.add(keys, counter, value);
  }

  private add({ model, device }: TurnKeys, counter: string, value = 1): void {
    // A counter that is not there reads as 0.
    if (value > 0) this.counts.push({ model, device, counter, value });
  }
}

function countedEnd(status: Extract<Change, { type: 'turn-ended' }>['status']): string {
  switch (status) {
    case 'completed':
      return COUNTERS.completed;
    case 'failed':
      return COUNTERS.failed;
    default:
      return COUNTERS.cancelled;
  }
}

function tokens(said: number | undefined, spent: number): number {
  return said === undefined ? spent : whole(said);
}

function callsOf(state: SessionState): OpenSession['calls'] {
  return state.phase === 'open' ? state.calls : [];
}
