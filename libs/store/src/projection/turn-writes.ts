import type { Change } from '#libs/domain';
import { noteMessage } from '#libs/domain';
import type { TurnRow } from '../entities/turn.entity.js';

/** An entity's columns as a plain object. */
export type Columns<T> = { -readonly [K in keyof T]: T[K] };
export type TurnColumns = Columns<TurnRow>;

export type TurnChange = Extract<
  Change,
  { readonly type: `turn-${string}` | 'part-restored' | 'copies-dropped' | 'note-added' }
>;
type ChangeOf<T extends TurnChange['type']> = Extract<TurnChange, { type: T }>;

/** One turn of one session. */
interface TurnKey {
  readonly sessionId: string;
  readonly number: number;
}

type EndColumns = Pick<
  TurnColumns,
  | 'epoch'
  | 'status'
  | 'seq'
  | 'endIndex'
  | 'output'
  | 'modelUsed'
  | 'usage'
  | 'costUsd'
  | 'snapshotId'
  | 'errorCode'
  | 'refused'
  | 'unreached'
  | 'steps'
  | 'sessionCostUsd'
  | 'sessionBytes'
  | 'rounds'
  | 'endedAt'
>;
type WithdrawalColumns = Pick<
  TurnColumns,
  | 'status'
  | 'seq'
  | 'firstIndex'
  | 'endIndex'
  | 'visibleEnd'
  | 'output'
  | 'errorCode'
  | 'unreached'
  | 'steps'
  | 'sessionCostUsd'
  | 'sessionBytes'
  | 'endedAt'
>;
type AdoptionColumns = Pick<TurnColumns, 'epoch' | 'status' | 'runnerSlot' | 'runnerIncarnation'>;

/**
 * What a batch of events does to the table of turns, gathered so that it takes one statement for
 * each kind of write, however many events there are: rows of turns that began in the batch, and
 * changes of rows that were there before. A turn ends before another one cuts it, and is owed after
 * it has ended, so the kinds are written in that order; of its adoptions and its parking the last
 * one counts.
 *
 * The row of a turn that waits has minus its place in the queue for a number.
 */
export class TurnWrites {
  readonly inserted = new Map<string, TurnColumns>();
  /** Sessions of which nothing that was there before is left. */
  readonly dropped = new Set<string>();
  readonly adopted = new Map<string, TurnKey & AdoptionColumns>();
  readonly parked = new Map<string, TurnKey>();
  readonly ended = new Map<string, TurnKey & EndColumns>();
  readonly owed = new Map<string, TurnKey & { readonly seq: number }>();
  /** Turns that waited and wait no more. */
  readonly left = new Map<string, TurnKey>();
  readonly withdrawn = new Map<string, TurnKey & WithdrawalColumns & { readonly row: number }>();
  /** By session: messages from this place on are not visible any more. */
  readonly cuts = new Map<string, number>();

  /** `eventId`: of the event that brought the change. */
  add(sessionId: string, change: TurnChange, content: string | null, eventId: string): void {
    if (change.type === 'copies-dropped') {
      this.drop(sessionId);
      return;
    }
    if (change.type === 'part-restored') {
      const columns = restoredColumns(sessionId, change, content ?? '{}', eventId);
      this.inserted.set(`${sessionId} ${columns.number}`, columns);
      return;
    }
    if (change.type === 'turn-queued') {
      const columns = waitingColumns(sessionId, change, content ?? '{}');
      this.inserted.set(`${sessionId} ${columns.number}`, columns);
      return;
    }
    if (change.type === 'turn-forgotten') {
      this.leave(sessionId, change.place);
      return;
    }
    const key = `${sessionId} ${change.number}`;
    switch (change.type) {
      case 'note-added':
        this.inserted.set(key, noteColumns(sessionId, change, content ?? '{}'));
        return;
      case 'turn-started':
        this.start(key, sessionId, change, content ?? '{}');
        return;
      case 'turn-withdrawn':
        this.withdraw(key, sessionId, change, content);
        return;
      case 'turn-adopted': {
        const columns = adoptionColumns(change);
        if (!this.patch(key, columns)) {
          this.adopted.set(key, { sessionId, number: change.number, ...columns });
          this.parked.delete(key);
        }
        return;
      }
      case 'turn-parked':
        if (!this.patch(key, { status: 'parked' })) {
          this.parked.set(key, { sessionId, number: change.number });
        }
        return;
      case 'turn-ended': {
        const columns = endColumns(change, content);
        if (!this.patch(key, { ...columns, visibleEnd: columns.endIndex })) {
          this.ended.set(key, { sessionId, number: change.number, ...columns });
        }
        return;
      }
      case 'turn-owed':
        if (!this.patch(key, { seq: change.seq })) {
          this.owed.set(key, { sessionId, number: change.number, seq: change.seq });
        }
    }
  }

  private drop(sessionId: string): void {
    this.dropped.add(sessionId);
    for (const [key, turn] of this.inserted) {
      if (turn.sessionId === sessionId) this.inserted.delete(key);
    }
  }

  private start(
    key: string,
    sessionId: string,
    change: ChangeOf<'turn-started'>,
    content: string,
  ): void {
    if (change.cuts) this.cut(sessionId, change.firstIndex);
    if (change.place !== null) this.leave(sessionId, change.place);
    this.inserted.set(key, turnColumns(sessionId, change, content));
  }

  /** A turn waits no more. */
  private leave(sessionId: string, place: number): void {
    const number = -place;
    const key = `${sessionId} ${number}`;
    if (!this.inserted.delete(key)) this.left.set(key, { sessionId, number });
  }

  private withdraw(
    key: string,
    sessionId: string,
    change: ChangeOf<'turn-withdrawn'>,
    content: string | null,
  ): void {
    const { number } = change;
    const row = -change.place;
    const waiting = `${sessionId} ${row}`;
    const columns = withdrawalColumns(change, content);
    const inserted = this.inserted.get(waiting);
    if (inserted === undefined) {
      this.withdrawn.set(key, { sessionId, number, row, ...columns });
      return;
    }
    this.inserted.delete(waiting);
    this.inserted.set(key, { ...inserted, ...columns, number, waiting: null });
  }

  private cut(sessionId: string, from: number): void {
    this.cuts.set(sessionId, Math.min(from, this.cuts.get(sessionId) ?? from));
    for (const turn of this.inserted.values()) {
      if (turn.sessionId !== sessionId) continue;
      // Never below its beginning, so that a row is the same however the log is cut into batches.
      turn.visibleEnd = Math.max(turn.firstIndex, Math.min(turn.visibleEnd, from));
    }
  }

  /** Whether the turn began in this batch, so that its row is not written yet. */
  private patch(key: string, columns: Partial<TurnColumns>): boolean {
    const row = this.inserted.get(key);
    if (row === undefined) return false;
    Object.assign(row, columns);
    return true;
  }
}

/** What of a turn is known only when it has ended. */
const NOT_ENDED = {
  output: null,
  modelUsed: null,
  usage: null,
  costUsd: null,
  snapshotId: null,
  errorCode: null,
  refused: 0,
  unreached: 0,
  steps: null,
  sessionCostUsd: null,
  sessionBytes: null,
  rounds: 0,
  endedAt: null,
};

function turnColumns(
  sessionId: string,
  change: ChangeOf<'turn-started'>,
  content: string,
): TurnColumns {
  return {
    sessionId,
    number: change.number,
    turnId: change.turnId,
    epoch: change.epoch,
    runnerSlot: change.runner.slot,
    runnerIncarnation: change.runner.incarnation,
    status: 'open',
    seq: null,
    firstIndex: change.firstIndex,
    endIndex: change.endIndex,
    visibleEnd: change.endIndex,
    systemTurn: change.systemTurn,
    model: storable(change.model),
    checkpointEvery: change.checkpointEvery,
    request: content,
    ...NOT_ENDED,
    startedAt: change.startedAt,
    waiting: null,
  };
}

function waitingColumns(
  sessionId: string,
  { turnId, place, data, queuedAt }: ChangeOf<'turn-queued'>,
  content: string,
): TurnColumns {
  return {
    sessionId,
    number: -place,
    turnId,
    epoch: 0,
    runnerSlot: data.holder.slot,
    runnerIncarnation: data.holder.incarnation,
    status: 'queued',
    seq: null,
    firstIndex: 0,
    endIndex: 0,
    visibleEnd: 0,
    systemTurn: 0,
    model: storable(data.model),
    checkpointEvery: data.checkpoint_every,
    request: content,
    ...NOT_ENDED,
    startedAt: queuedAt,
    waiting: JSON.stringify(data),
  };
}

/** Of what is in the transcript and is no turn. */
function rowBefore(sessionId: string, number: number, from: number, count: number): TurnColumns {
  return {
    sessionId,
    number,
    turnId: '',
    epoch: 1,
    runnerSlot: 0,
    runnerIncarnation: '',
    status: 'restored',
    seq: null,
    firstIndex: from,
    endIndex: from + count,
    visibleEnd: from + count,
    systemTurn: 0,
    model: '',
    checkpointEvery: 1,
    request: '{}',
    ...NOT_ENDED,
    startedAt: '',
    waiting: null,
  };
}

function restoredColumns(
  sessionId: string,
  { data, at }: ChangeOf<'part-restored'>,
  content: string,
  eventId: string,
): TurnColumns {
  const { part, first_index: from, message_count: count, step_count: steps } = data;
  return {
    ...rowBefore(sessionId, part, from, count),
    turnId: eventId,
    systemTurn: data.has_system ? 1 : 0,
    request: content,
    steps,
    sessionCostUsd: data.cost_usd,
    startedAt: at,
    endedAt: at,
  };
}

function noteColumns(
  sessionId: string,
  change: ChangeOf<'note-added'>,
  content: string,
): TurnColumns {
  const { note = '' } = JSON.parse(content) as { readonly note?: string };
  return {
    ...rowBefore(sessionId, change.number, change.index, 1),
    turnId: change.noteId,
    status: 'note',
    systemTurn: change.systemTurn,
    request: JSON.stringify({ messages: [noteMessage(note)] }),
    steps: change.steps,
    sessionCostUsd: change.sessionCostUsd,
    sessionBytes: change.sessionBytes,
    startedAt: change.at,
    endedAt: change.at,
  };
}

function withdrawalColumns(
  change: ChangeOf<'turn-withdrawn'>,
  content: string | null,
): WithdrawalColumns {
  const { status, seq, index, errorCode, steps, sessionCostUsd, sessionBytes, endedAt } = change;
  const output = change.superseded ? null : content;
  const places = { firstIndex: index, endIndex: index, visibleEnd: index };
  const ended = { errorCode, unreached: 1, steps, sessionCostUsd, sessionBytes, endedAt };
  return { status, seq, ...places, output, ...ended };
}

function adoptionColumns({ epoch, runner }: ChangeOf<'turn-adopted'>): AdoptionColumns {
  return {
    ...{ epoch, status: 'open' },
    ...{ runnerSlot: runner.slot, runnerIncarnation: runner.incarnation },
  };
}

function endColumns(change: ChangeOf<'turn-ended'>, content: string | null): EndColumns {
  return {
    epoch: change.epoch,
    status: change.status,
    seq: change.seq,
    endIndex: change.endIndex,
    // The event of a turn that was superseded is another turn's, and so is its content.
    output: change.superseded ? null : content,
    modelUsed: change.modelUsed === null ? null : storable(change.modelUsed),
    usage: change.usage === null ? null : JSON.stringify(change.usage),
    costUsd: change.costUsd,
    snapshotId: change.snapshotId,
    errorCode: change.errorCode,
    refused: change.refused ? 1 : 0,
    unreached: change.unreached ? 1 : 0,
    steps: change.steps,
    sessionCostUsd: change.sessionCostUsd,
    sessionBytes: change.sessionBytes,
    rounds: change.rounds,
    endedAt: change.endedAt,
  };
}

/**
 * Postgres takes no NUL in a text, and an event that cannot be folded would stop its partition; in
 * JSON it is escaped.
 */
function storable(text: string): string {
  return text.replaceAll('\0', '\ufffd');
}
