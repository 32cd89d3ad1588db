import type { ServerFrame, TurnStatus } from '#libs/protocol';
import type { Connection, Rule } from './history.js';

/** The end of a turn as a surface was shown it. */
export interface ShownTurn {
  readonly seq: number;
  readonly turnId: string;
  readonly status: TurnStatus;
  /** Why it did not complete. */
  readonly errorCode: string | null;
  /** Drained, or joined from the pieces of the attempt that completed. */
  readonly text: string;
}

/** What one connection showed, and in which order it must have been. */
export interface ShownConnection {
  readonly connection: Connection;
  /** When the attach was asked for, and when it was answered; null where it was not. */
  readonly attachSentAt: number | null;
  readonly attachedAt: number | null;
  readonly turns: readonly ShownTurn[];
  /** Each PONG with the last `seq` that was shown before the PING that it answers. */
  readonly pongs: readonly { readonly at: number; readonly horizon: number }[];
  readonly problems: readonly { readonly rule: Rule; readonly detail: string }[];
}

/** Close codes for which there are reasons; 4009 where another surface took over. */
const EXPECTED_CLOSES: readonly number[] = [1000, 1005, 1006, 1012, 1013, 4009];

interface Attempt {
  readonly chunkId: string;
  readonly text: string;
}

/**
 * Reads one connection by the frame rules: announce, drain, then live turns in order without gaps.
 */
export function readConnection(connection: Connection): ShownConnection {
  const reader = new ConnectionReader(connection.id);
  for (const event of connection.events) {
    if (event.type === 'received') reader.frame(event.frame, event.at);
    else if (event.frame === 'PONG') reader.pong(event.at);
    else if (event.frame === 'ATTACH_SESSION') reader.attachSentAt ??= event.at;
  }
  if (!EXPECTED_CLOSES.includes(connection.closeCode))
    reader.report('unexpected', `closed with ${connection.closeCode}`);
  const { attachSentAt, attachedAt, turns, pongs, problems } = reader;
  return { connection, attachSentAt, attachedAt, turns, pongs, problems };
}

class ConnectionReader {
  attachSentAt: number | null = null;
  attachedAt: number | null = null;
  readonly turns: ShownTurn[] = [];
  readonly pongs: { at: number; horizon: number }[] = [];
  readonly problems: { rule: Rule; detail: string }[] = [];
  /** TETHER_TURNs that were announced and have not come. */
  private toDrain = 0;
  private drained = 0;
  /** The last `seq` before the outstanding PING. */
  private horizon: number | null = null;
  private readonly attempts = new Map<string, Attempt>();

  constructor(private readonly id: string) {}

  report(rule: Rule, detail: string): void {
    this.problems.push({ rule, detail: `connection ${this.id}: ${detail}` });
  }

  frame(frame: ServerFrame, at: number): void {
    if (frame.type !== 'TETHER_TURN' && this.toDrain > 0) {
      this.report('drain', `${frame.type} came before ${this.toDrain} more TETHER_TURN`);
    }
    switch (frame.type) {
      case 'SESSION_ATTACHED':
        if (this.attachedAt !== null) this.report('drain', 'a second SESSION_ATTACHED');
        this.attachedAt = at;
        this.toDrain = frame.queued_turns;
        return;
      case 'TETHER_TURN':
        this.tetherTurn(frame);
        return;
      case 'TURN_CHUNK':
        this.chunk(frame);
        return;
      case 'TURN_COMPLETE':
        this.complete(frame);
        return;
      case 'TOOL_CALL':
        return;
      case 'PING':
        this.horizon = this.turns.at(-1)?.seq ?? 0;
        return;
      case 'SESSION_NOT_FOUND':
      case 'FORBIDDEN':
      case 'PROTOCOL_ERROR':
        this.report('unexpected', `${frame.type}: ${frame.detail}`);
    }
  }

  pong(at: number): void {
    if (this.horizon !== null && this.horizon > 0) this.pongs.push({ at, horizon: this.horizon });
    this.horizon = null;
  }

  private tetherTurn(frame: Extract<ServerFrame, { type: 'TETHER_TURN' }>): void {
    const { turn_index: index, turn_id: turnId, seq, status, error, content } = frame;
    if (this.toDrain === 0)
      this.report('drain', `TETHER_TURN ${seq} is one more than were announced`);
    else this.toDrain--;
    if (index !== this.drained)
      this.report('drain', `TETHER_TURN ${seq} has index ${index}, not ${this.drained}`);
    this.drained++;
    this.show({ seq, turnId, status, errorCode: error?.code ?? null, text: content });
  }

  private chunk({
    turn_id: turnId,
    chunk_id: chunkId,
    delta,
    offset,
    replaces,
  }: Extract<ServerFrame, { type: 'TURN_CHUNK' }>) {
    const shown = this.attempts.get(turnId);
    if (this.turns.some((turn) => turn.turnId === turnId))
      this.report('chunks', `turn ${turnId} goes on after its end`);
    if (shown?.chunkId === chunkId) {
      if (replaces !== undefined)
        this.report('chunks', `attempt ${chunkId} replaces after it began`);
    } else if ((shown?.chunkId ?? undefined) !== replaces) {
      this.report(
        'chunks',
        `attempt ${chunkId} replaces ${replaces ?? 'none'}, ${shown?.chunkId ?? 'none'} was shown`,
      );
    }
    const before = shown?.chunkId === chunkId ? shown.text : '';
    const points = Array.from(before).length;
    if (offset !== points)
      this.report('chunks', `attempt ${chunkId} goes on at ${offset}, after ${points} code points`);
    this.attempts.set(turnId, { chunkId, text: before + delta });
  }

  private complete({
    turn_id: turnId,
    chunk_id: chunkId,
    seq,
    status,
    error,
  }: Extract<ServerFrame, { type: 'TURN_COMPLETE' }>) {
    const shown = this.attempts.get(turnId);
    const text = shown?.chunkId === chunkId ? shown.text : '';
    this.show({
      seq,
      turnId,
      status,
      errorCode: error?.code ?? null,
      text: status === 'completed' ? text : '',
    });
  }

  private show(turn: ShownTurn): void {
    if (this.attachedAt === null)
      this.report('drain', `turn ${turn.turnId} came before SESSION_ATTACHED`);
    const last = this.turns.at(-1);
    if (last !== undefined && turn.seq !== last.seq + 1) {
      const rule = turn.seq <= last.seq ? 'reordered' : 'gap';
      this.report(rule, `seq ${turn.seq} came after ${last.seq}`);
    }
    this.turns.push(turn);
  }
}
