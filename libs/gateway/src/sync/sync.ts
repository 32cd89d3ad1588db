import type { SessionState } from '#libs/domain';
import { queuedTurns } from '#libs/domain';
import type { ShownAttempt } from '#libs/live';
import { FollowedTurn, completion } from '#libs/live';
import type { Mailbox, MailboxMessageOf } from '#libs/mailbox';
import type { ProcessAddress, ServerFrame, SurfaceContext } from '#libs/protocol';
import { SBP_LEVEL, SBP_VERSION } from '#libs/protocol';
import type { Glance, OwedTurn, SurfaceReads, SurfaceView } from '#libs/store';
import { deadline } from '#libs/timing';
import type { Acknowledger } from '../acknowledgement/acknowledger.js';
import type { AttachmentId } from '../attachment/surface-events.js';
import type { SurfaceOutput } from '../socket/surface-output.js';
import type { SurfaceTimings } from '../surface-timings.js';

export interface SyncParts {
  readonly reads: Pick<SurfaceReads, 'view' | 'owed'>;
  readonly mailbox: Pick<Mailbox, 'send'>;
  readonly gateway: ProcessAddress;
  readonly timings: Pick<SurfaceTimings, 'read'>;
}

export interface SyncSurface extends AttachmentId {
  readonly context: SurfaceContext;
  /** The session's token, renewed. */
  readonly token: string;
  /** Everything up to it was acknowledged before the attach. */
  readonly cursor: number;
}

/** Why a surface gets no more. */
export type SyncEnd =
  /** Another surface is attached now. */
  | { readonly type: 'replaced' }
  /** None is: this gateway was believed dead. */
  | { readonly type: 'detached' }
  /** What it is owed could not be read in the middle of the drain. */
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
 *    chunk.
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
 * - [A9] `written` rises by one, and only after the turn's frames were handed over: in order,
 *   without gaps, and after a failure again from the turn that failed.
 * - A read that hangs ends as a failure, because the worker would wait for it for ever.
 */
export class SurfaceSync {
  /** The last `seq` whose end was written. */
  private written: number;
  private live: FollowedTurn | null = null;
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
    this.written = open.cursor;
    this.acknowledger.begin(open.cursor, this.surface.context.acknowledges === true);
    void this.write(attachedFrame(this.surface, queued));
    void this.work(() => this.drain(open, owed));
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

  /** Whether the read models show something that this socket does not have. */
  differsFrom(glance: Glance | undefined): boolean {
    if (
      glance === undefined ||
      glance.attachId !== this.surface.attachId ||
      glance.head > this.written
    )
      return true;
    const { openTurn } = glance;
    if (openTurn === null) return this.live !== null;
    if (this.live === null) return true;
    const { shown, answering } = this.live;
    return shown.turnId !== openTurn.turnId || shown.epoch !== openTurn.epoch || !answering;
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
    let index = 0;
    await this.eachOwed(open, firstPage, async (turn) => {
      await this.write(tetherTurn(turn, index++));
    });
    this.follow(open);
  }

  private async run(): Promise<void> {
    this.asked = false;
    try {
      const { session, owed } = await this.view();
      const open = this.mine(session);
      if (open === null) return;
      await this.eachOwed(open, owed, async (turn) => {
        for (const frame of completion(this.takeShown(turn.turnId), turn)) await this.write(frame);
      });
      this.follow(open);
      if (!this.stopped) this.acknowledger.outputEnded();
    } catch (error) {
      this.events.failed(error);
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
    if (this.stopped) return;
    if (turn === null) {
      this.live = null;
      return;
    }
    const live = FollowedTurn.follow(turn.turnId, turn.epoch, this.live);
    this.live = live;
    if (live.answering) return;
    const { sessionId, attachId } = this.surface;
    const { mailbox, gateway: replyTo } = this.parts;
    // Losing it is harmless: the sweep asks again while nothing comes [A8].
    void mailbox.send(turn.runner, live.watch({ sessionId, attachId, replyTo }));
  }

  /** Everything that came while the socket was busy goes out as one chunk. */
  private async writeWaiting(): Promise<void> {
    const frame = this.live?.takeChunk() ?? null;
    if (frame !== null) await this.write(frame);
  }

  private mine(session: SessionState): OpenSession | null {
    const surface = session.phase === 'open' ? session.surface : null;
    const current = surface?.type === 'attached' ? surface.attachment.attachId : null;
    if (session.phase === 'open' && current === this.surface.attachId) return session;
    this.end({ type: current === null ? 'detached' : 'replaced' });
    return null;
  }

  private end(end: SyncEnd): void {
    if (this.stopped) return;
    this.stopped = true;
    this.events.ended(end);
  }

  private async write(frame: ServerFrame): Promise<void> {
    // Once the socket is gone nothing more needs to be read for it; its close is on the way.
    if (!this.stopped && (await this.output.write(frame)) === 'gone') this.stopped = true;
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
  };
}
