import type { SessionState } from '#libs/domain';
import { isFinished, queuedTurns, streams } from '#libs/domain';
import type { ShownAttempt } from '#libs/live';
import { FollowedTurn, completion } from '#libs/live';
import type { Mailbox, MailboxMessageOf } from '#libs/mailbox';
import type { ProcessAddress, ServerFrame, SurfaceContext } from '#libs/protocol';
import { SBP_LEVEL, SBP_VERSION } from '#libs/protocol';
import type {
  CallToTell,
  Glance,
  OwedTurn,
  SurfaceReads,
  SurfaceView,
  ToolReads,
} from '#libs/store';
import { SessionQuarantined } from '#libs/store';
import type { SurfaceMetrics, Tracing } from '#libs/telemetry';
import { deadline } from '#libs/timing';
import type { Acknowledger } from '../acknowledgement/acknowledger.js';
import type { AttachmentId } from '../attachment/surface-events.js';
import type { FrameTurn } from '../socket/aliases.js';
import type { SurfaceOutput } from '../socket/surface-output.js';
import type { SurfaceTimings } from '../surface-timings.js';

export interface SyncParts {
  readonly reads: Pick<SurfaceReads, 'view' | 'owed'>;
  readonly tools: Pick<ToolReads, 'toTell'>;
  readonly mailbox: Pick<Mailbox, 'send'>;
  readonly gateway: ProcessAddress;
  readonly timings: Pick<SurfaceTimings, 'read'>;
  readonly metrics: Pick<SurfaceMetrics, 'attached' | 'drained'>;
  readonly tracing: Tracing;
}

export interface SyncSurface extends AttachmentId {
  readonly context: SurfaceContext;
  /** The session's token, renewed. */
  readonly token: string;
  /** Of the session's tokens then. */
  readonly generation: number;
  /** Everything up to it was acknowledged before the attach. */
  readonly cursor: number;
}

/** Why a surface gets no more. */
export type SyncEnd =
  /** Another surface is attached now. */
  | { readonly type: 'replaced' }
  /** None is: this gateway was believed dead. */
  | { readonly type: 'detached' }
  /** The tokens that it attached with were revoked. */
  | { readonly type: 'revoked' }
  /** The session has finished, and everything was read. */
  | { readonly type: 'finished' }
  /** What it is owed could not be read in the middle of the drain, or is quarantined. */
  | { readonly type: 'failed'; readonly error: unknown };

export interface SyncEvents {
  ended(end: SyncEnd): void;
  /** A later run failed; the sweep finds what is missing. */
  failed(error: unknown): void;
}

/**
 * The only code that decides what a socket gets, for one attachment [A7].
 *
 * Phases, each a run of one worker that does one thing at a time:
 * 1. `begin` reads the session once, writes SESSION_ATTACHED with the number of turns that this
 *    read shows to be owed, and drains exactly these.
 * 2. After it a run follows whenever somebody asks: a poke, the sweep, a gap in the live text. A
 *    run reads once and writes the end of every turn that this read shows and the socket lacks.
 * 3. Between runs live text goes out as it comes; all that came while the socket was busy is one
 *    chunk. A surface that does not stream follows no turn: it gets each as one frame at its end.
 * `stop` is for ever: the connection calls it, or a write finds the socket gone.
 *
 * Who owns what: this class owns `written`, the last `seq` whose end was written, and `live`, the
 * open turn as far as the socket has it; both change only in the order in which frames are handed
 * to the output. The read models own what is owed; the acknowledger what was read.
 *
 * Invariants, and why:
 * - [A7] What is drained and what is live comes from one read, so that a turn that ends meanwhile
 *   is neither in both nor in none of them.
 * - [A8] Pokes, watches and live text may be lost, doubled or late. They decide nothing: they say
 *   that something may be missing, or bring text that is placed by its offset and confirmed by the
 *   committed turn.
 * - [A18] A call is told once to one connection; where that breaks before the surface has read it,
 *   the call is cancelled with the attachment, or waits for the next.
 * - [A9] `written` rises by one, and only after the turn's frames were handed over: in order,
 *   without gaps, and after a failure again from the turn that failed.
 * - A read that hangs ends as a failure, because the worker would wait for it for ever.
 */
export class SurfaceSync {
  /** The last `seq` whose end was written. */
  private written: number;
  private live: FollowedTurn | null = null;
  /** The number of the turn that is `live`. */
  private step = 0;
  /** The `turn_index` of the next TETHER_TURN. */
  private index = 0;
  /** The open calls of tools that the socket was told of; whether it has answered. */
  private readonly calls = new Map<string, 'told' | 'answered'>();
  /** How often calls had been given to a surface when it was last looked. */
  private called = 0;
  private asked = false;
  private working = false;
  private stopped = false;

  constructor(
    readonly surface: SyncSurface,
    private readonly parts: SyncParts,
    private readonly output: SurfaceOutput,
    private readonly acknowledger: Acknowledger,
    private readonly events: SyncEvents,
  ) {
    this.written = surface.cursor;
  }

  /**
   * The first run; resolves when SESSION_ATTACHED was handed to the socket, or the attachment
   * turned out to be lost.
   */
  async begin(): Promise<void> {
    this.working = true;
    const { session, owed } = await this.view();
    const open = this.mine(session);
    if (open === null) return;
    const queued = queuedTurns(open);
    this.parts.metrics.attached(queued);
    this.written = open.cursor;
    this.acknowledger.begin(open.cursor, this.surface.context.acknowledges === true);
    void this.write(attachedFrame(this.surface, queued));
    void this.work(() => this.parts.tracing.span('drain', () => this.drain(open, owed)));
  }

  /** Something may be missing: look. */
  ask(): void {
    this.asked = true;
    void this.work();
  }

  /** Live text from a runner. */
  accept(message: MailboxMessageOf<'live'>): void {
    const heard = this.live?.accept(message) ?? 'nothing';
    if (heard === 'missing') this.ask();
    if (heard === 'text') void this.work();
  }

  /** Whether a call is one that this socket was told of and has not answered; it has now. */
  answers(callId: string): boolean {
    const isTold = this.calls.get(callId) === 'told';
    if (isTold) this.calls.set(callId, 'answered');
    return isTold;
  }

  /** Whether the read models show something that this socket does not have. */
  differsFrom(glance: Glance | undefined): boolean {
    if (
      glance === undefined ||
      glance.attachId !== this.surface.attachId ||
      glance.head > this.written ||
      glance.called > this.called
    )
      return true;
    const { openTurn } = glance;
    if (!streams(this.surface.context)) return false;
    if (openTurn === null) return this.live !== null;
    if (this.live === null) return true;
    const { shown, answering } = this.live;
    const isAnother = shown.turnId !== openTurn.turnId || shown.epoch !== openTurn.epoch;
    return isAnother || !(answering || openTurn.waits);
  }

  stop(): void {
    this.stopped = true;
  }

  private async work(first?: () => Promise<void>): Promise<void> {
    if (first === undefined && this.working) return;
    this.working = true;
    if (first !== undefined) await this.drained(first);
    while (!this.stopped && (this.asked || this.live?.hasText === true)) {
      await this.writeWaiting();
      if (this.asked) await this.run();
    }
    this.working = false;
  }

  private async drained(drain: () => Promise<void>): Promise<void> {
    try {
      await drain();
      if (!this.stopped) this.acknowledger.drained();
    } catch (error) {
      this.end({ type: 'failed', error });
    }
  }

  private async drain(open: OpenSession, firstPage: readonly OwedTurn[]): Promise<void> {
    await this.eachOwed(open, firstPage, async (turn) => {
      await this.write(tetherTurn(turn, this.index++), turn);
      this.parts.metrics.drained();
    });
    await this.tell(open);
    this.follow(open);
    this.endIfOver(open);
  }

  private async run(): Promise<void> {
    this.asked = false;
    try {
      const { session, owed } = await this.view();
      const open = this.mine(session);
      if (open === null) return;
      await this.eachOwed(open, owed, async (turn) => {
        for (const frame of this.endOf(turn)) await this.write(frame, turn);
      });
      await this.tell(open);
      this.follow(open);
      this.endIfOver(open);
      if (!this.stopped) this.acknowledger.outputEnded();
    } catch (error) {
      // The sweep would find nothing else before an operator has done something [A12].
      if (error instanceof SessionQuarantined) this.end({ type: 'failed', error });
      else this.events.failed(error);
    }
  }

  /**
   * Sends what is owed up to the head of the one read, page by page; ended turns do not change any
   * more.
   */
  private async eachOwed(
    open: OpenSession,
    firstPage: readonly OwedTurn[],
    send: (turn: OwedTurn) => Promise<void>,
  ): Promise<void> {
    let page = firstPage.filter((turn) => turn.seq > this.written);
    while (this.written < open.head) {
      for (const turn of page) {
        if (turn.seq !== this.written + 1)
          throw new Error(`turn ${turn.seq} comes after turn ${this.written}`);
        await send(turn);
        if (this.stopped) return;
        this.written = turn.seq;
        this.acknowledger.written(turn.seq);
      }
      if (this.written >= open.head) return;
      page = [...(await this.page(open.head))];
      if (page.length === 0)
        throw new Error(`turn ${this.written + 1} of ${open.head} cannot be read`);
    }
  }

  /** Tells of the calls that the read shows to be open, and the socket was not told of. */
  private async tell({ calls, called }: OpenSession): Promise<void> {
    const { sessionId, attachId } = this.surface;
    const mine = calls
      .filter(({ place }) => place.type === 'surface' && place.attachId === attachId)
      .map(({ callId }) => callId);
    for (const callId of this.calls.keys()) {
      if (!mine.includes(callId)) this.calls.delete(callId);
    }
    const news = mine.filter((callId) => !this.calls.has(callId));
    if (news.length > 0) {
      const { tools, timings } = this.parts;
      const reading = tools.toTell(sessionId, news);
      const what = `the read of calls of session ${sessionId}`;
      for (const call of await deadline(what, reading, timings.read)) {
        this.calls.set(call.callId, 'told');
        await this.write(toolCall(call));
      }
    }
    this.called = called;
  }

  private view(): Promise<SurfaceView> {
    const { reads, timings } = this.parts;
    const { sessionId } = this.surface;
    const view = reads.view(sessionId, this.written);
    return deadline(`the read of session ${sessionId}`, view, timings.read);
  }

  private page(upTo: number): Promise<readonly OwedTurn[]> {
    const { reads, timings } = this.parts;
    const { sessionId } = this.surface;
    const page = reads.owed(sessionId, this.written, upTo);
    return deadline(`the read of what session ${sessionId} owes`, page, timings.read);
  }

  /** A surface that does not stream gets a turn as one frame. */
  private endOf(turn: OwedTurn): readonly ServerFrame[] {
    if (!streams(this.surface.context)) return [tetherTurn(turn, this.index++)];
    return completion(this.takeShown(turn.turnId), turn);
  }

  /** What this connection has seen of a turn that has ended: it is not live any more. */
  private takeShown(turnId: string): ShownAttempt | null {
    const { shown = null } = this.live ?? {};
    if (shown?.turnId !== turnId) return null;
    this.live = null;
    return shown;
  }

  /**
   * Makes the open turn the live one, and asks its runner for its text unless it is already
   * answering.
   */
  private follow({ turn }: OpenSession): void {
    if (this.stopped || !streams(this.surface.context)) return;
    if (turn === null) {
      this.live = null;
      return;
    }
    const live = FollowedTurn.follow(turn.turnId, turn.epoch, this.live);
    this.live = live;
    this.step = turn.number;
    if (live.answering || turn.parked) return;
    const { sessionId, attachId } = this.surface;
    const { mailbox, gateway: replyTo } = this.parts;
    // Losing it is harmless: the sweep asks again while nothing comes [A8].
    void mailbox.send(turn.runner, live.watch({ sessionId, attachId, replyTo }));
  }

  /** Everything that came while the socket was busy goes out as one chunk. */
  private async writeWaiting(): Promise<void> {
    const frame = this.live?.takeChunk() ?? null;
    const turn = { number: this.step, modelUsed: null, costUsd: null };
    if (frame !== null) await this.write(frame, turn);
  }

  private mine(session: SessionState): OpenSession | null {
    const surface = session.phase === 'open' ? session.surface : null;
    const current = surface?.type === 'attached' ? surface.attachment.attachId : null;
    if (session.phase === 'open' && current === this.surface.attachId) {
      if (session.tokenGeneration <= this.surface.generation) return session;
      this.end({ type: 'revoked' });
      return null;
    }
    this.end({ type: current === null ? 'detached' : 'replaced' });
    return null;
  }

  /** Nothing more will come in a session that has finished, once everything was read. */
  private endIfOver(open: OpenSession): void {
    if (isFinished(open) && queuedTurns(open) === 0) this.end({ type: 'finished' });
  }

  private end(end: SyncEnd): void {
    if (this.stopped) return;
    this.stopped = true;
    this.events.ended(end);
  }

  private async write(frame: ServerFrame, turn: FrameTurn | null = null): Promise<void> {
    // Once the socket is gone nothing more needs to be read for it; its close is on the way.
    if (!this.stopped && (await this.output.write(frame, turn)) === 'gone') this.stopped = true;
  }
}

type OpenSession = Extract<SessionState, { phase: 'open' }>;

function attachedFrame(
  { sessionId, context, token }: SyncSurface,
  queuedTurns: number,
): ServerFrame {
  return {
    type: 'SESSION_ATTACHED',
    session_id: sessionId,
    surface_id: context.surface_id ?? null,
    device_type: context.device_type ?? 'unknown',
    queued_turns: queuedTurns,
    mcp_tools_registered: [...new Set(context.mcp_tools)],
    sbp_version: SBP_VERSION,
    sbp_level: SBP_LEVEL,
    session_token: token,
  };
}

function toolCall({ callId, toolName, toolInput }: CallToTell): ServerFrame {
  return { type: 'TOOL_CALL', call_id: callId, tool_name: toolName, tool_input: toolInput };
}

function tetherTurn(turn: OwedTurn, index: number): ServerFrame {
  return {
    type: 'TETHER_TURN',
    turn_index: index,
    role: 'assistant',
    content: turn.text,
    model_used: turn.modelUsed,
    created_at: turn.createdAt,
    turn_id: turn.turnId,
    seq: turn.seq,
    status: turn.status,
    ...(turn.error === null ? {} : { error: turn.error }),
    ...(turn.toolCalls.length === 0 ? {} : { tool_calls: [...turn.toolCalls] }),
  };
}
