import type { ClientFrame, Close, ServerFrame } from '#libs/protocol';
import { CLOSE, LIMITS, takenContext } from '#libs/protocol';
import type { SurfaceMetrics } from '#libs/telemetry';
import { within } from '#libs/timing';
import { Acknowledger } from '../acknowledgement/acknowledger.js';
import type { FirstFrame, IncomingFrame } from '../socket/client-frames.js';
import { readFirstFrame, readLaterFrame } from '../socket/client-frames.js';
import { FrameQueue } from '../socket/frame-queue.js';
import { SurfaceOutput } from '../socket/surface-output.js';
import type { SurfaceSocket } from '../socket/surface-socket.js';
import type { SurfaceTimings } from '../surface-timings.js';
import type { SyncEnd, SyncEvents, SyncParts, SyncSurface } from '../sync/sync.js';
import { SurfaceSync } from '../sync/sync.js';
import type { AttachRequest } from './attach-steps.js';
import { callEnd } from './call-end.js';
import { AttachSteps } from './attach-steps.js';
import type { AttachmentId, DetachReason, SurfaceEvents } from './surface-events.js';

/** What a gateway gives each of its connections. */
export interface ConnectionParts extends SyncParts {
  readonly events: SurfaceEvents;
  readonly timings: SurfaceTimings;
  readonly watcher: ConnectionWatcher;
  readonly metrics: SyncParts['metrics'] & Pick<SurfaceMetrics, 'takenOver' | 'ignoredFrame'>;
}

/** Who must know what becomes of connections. */
export interface ConnectionWatcher {
  attached(sync: SurfaceSync): void;
  detached(sync: SurfaceSync): void;
  closed(connection: SurfaceConnection): void;
  /** Something failed that the client cannot be told. */
  problem(problem: string, error: unknown): void;
}

type Phase =
  | { readonly type: 'awaiting-attach'; readonly deadline: NodeJS.Timeout }
  | {
      readonly type: 'attaching';
      /** Until SESSION_ATTACHED was handed to the socket. */
      readonly deadline: NodeJS.Timeout;
      /** Null once the log has the attach: then it is `current`. */
      readonly steps: AttachSteps | null;
      /**
       * What is attached; where a client attaches anew on one socket also before the log has that.
       */
      readonly current: SurfaceSync | null;
    }
  | { readonly type: 'attached'; readonly sync: SurfaceSync }
  | { readonly type: 'closed' };

/**
 * One WebSocket of a surface, from its upgrade to its end.
 *
 * Phases: `awaiting-attach` → `attaching` → `attached` → `closed`; a second ATTACH_SESSION leads
 * from `attached` to `attaching` again, and everything may lead to `closed`, which is for ever. A
 * deadline belongs to the phase that it ends.
 *
 * Who owns what: the connection owns the frame rules, the order of the client's frames and how the
 * socket ends; `AttachSteps` the way of an attach into the log; `SurfaceSync` what is written once
 * it is there; `Acknowledger` what was read. One connection has one output and one acknowledger for
 * all its attachments, because a PONG may answer a PING of the attachment before.
 *
 * Invariants, and why:
 * - What a socket gets only `SurfaceSync` decides [A7]. The connection writes nothing itself but
 *   the frame that says why it closes, so that no second path can double a turn or leave one out.
 * - Its sync is registered before the first run has the floor, so that no poke falls between that
 *   run's read and the registration. Pokes and live text may still be lost [A8]; the sweep finds
 *   what they would have brought.
 * - An attach that is in the log, or may be, is followed by a detach when the connection ends,
 *   unless the log itself ended it; the session's events keep their order. So no end, not even one
 *   in the middle of an append that hangs, leaves a Tether that is off with nobody attached.
 * - Turns leave the Tether by acknowledgements only, never by an end: what a socket that breaks was
 *   owed comes again, at least once and in order [A9].
 */
export class SurfaceConnection {
  private readonly output: SurfaceOutput;
  private readonly acknowledger: Acknowledger;
  private phase: Phase;
  private readonly frames = new FrameQueue();
  private readonly detaching = new Set<Promise<void>>();

  constructor(
    readonly sessionId: string,
    private readonly address: string | null,
    socket: SurfaceSocket,
    private readonly parts: ConnectionParts,
  ) {
    const { timings } = parts;
    this.output = new SurfaceOutput(sessionId, socket, timings, () => {
      this.unresponsive();
    });
    this.acknowledger = new Acknowledger(this.output, timings, {
      acknowledged: (seq) => {
        this.acknowledge(seq);
      },
      unresponsive: () => {
        this.unresponsive();
      },
    });
    const deadline = setTimeout(() => {
      this.refuse('PROTOCOL_ERROR', 'No ATTACH_SESSION came in time');
    }, timings.firstFrame);
    this.phase = { type: 'awaiting-attach', deadline };
  }

  /** Nothing more is read or written; the close of the socket may still be on its way. */
  get hasClosed(): boolean {
    return this.phase.type === 'closed';
  }

  /** Whether nothing has come yet. */
  get waitsToAttach(): boolean {
    return this.phase.type === 'awaiting-attach';
  }

  /** There is no room for it: it may return later. */
  turnAway(): void {
    this.close(CLOSE.OVERLOADED, 'refused');
  }

  /** A message of the client; handled in order, each after the one before. */
  receive(frame: IncomingFrame): void {
    if (this.phase.type === 'closed') return;
    if (this.phase.type === 'awaiting-attach') clearTimeout(this.phase.deadline);
    const excess = this.frames.push(frame, mostWaitingBytes(this.phase));
    if (excess === null) this.handleFrames();
    else this.close(excess, 'refused');
  }

  /** A ping of the client's WebSocket; its library's answer is on the way. */
  pinged(bytes: number): void {
    const excess = this.frames.spend(bytes);
    if (excess !== null) this.close(excess, 'refused');
  }

  /** The pong of a WebSocket ping. */
  pong(payload: string): void {
    this.pinged(payload.length);
    if (!this.hasClosed) this.acknowledger.libraryPong(payload);
  }

  /** The socket has closed. 1005 (no code) is not among the contract's clean ends. */
  closed(code: number): void {
    if (this.phase.type === 'closed') return;
    if (code === 1000 || code === 1001) this.acknowledger.closedCleanly();
    this.end('closed');
  }

  /** Closes for a restart of this gateway; resolves when the log knows that the surface left. */
  async shutDown(): Promise<void> {
    this.close(CLOSE.GOING_AWAY, 'shutdown');
    await Promise.all(this.detaching);
  }

  /** Frames that come while an attach is handled wait for it. */
  private handleFrames(): void {
    while (this.phase.type !== 'attaching') {
      const frame = this.frames.shift();
      if (frame === null) return;
      this.handle(frame);
    }
  }

  private handle(incoming: IncomingFrame): void {
    switch (this.phase.type) {
      case 'awaiting-attach':
        this.handleFirst(readFirstFrame(incoming, this.sessionId));
        return;
      case 'attached':
        this.handleLater(incoming, this.phase.sync);
        return;
      case 'attaching':
      case 'closed':
    }
  }

  private handleFirst(frame: FirstFrame): void {
    switch (frame.type) {
      case 'too-big':
        this.close(CLOSE.TOO_BIG, 'refused');
        return;
      case 'protocol-error':
        this.refuse('PROTOCOL_ERROR', frame.detail);
        return;
      case 'attach':
        void this.attach(frame, null);
    }
  }

  private handleLater(incoming: IncomingFrame, sync: SurfaceSync): void {
    const read = readLaterFrame(incoming);
    switch (read.type) {
      case 'too-big':
        this.close(CLOSE.TOO_BIG, 'refused');
        return;
      case 'protocol-error':
        this.refuse('PROTOCOL_ERROR', read.detail);
        return;
      case 'bad-fields':
        this.parts.metrics.ignoredFrame();
        return;
      case 'unknown':
        return;
      case 'frame':
        this.handleFrame(read.frame, sync);
    }
  }

  private handleFrame(frame: ClientFrame, sync: SurfaceSync): void {
    switch (frame.type) {
      case 'PONG':
        this.acknowledger.pong();
        return;
      case 'TOOL_RESULT':
        // One outcome of each call that this surface was told of; all else is nobody's.
        if (sync.answers(frame.call_id)) {
          this.parts.events.returned(sync.surface, frame.call_id, callEnd(frame));
        }
        return;
      case 'DETACH':
        void this.detachByClient();
        return;
      case 'ATTACH_SESSION': {
        const { session_id, session_token: token, surface_context: context } = frame;
        if (session_id === this.sessionId) {
          void this.attach({ type: 'attach', token, context: takenContext(context) }, sync);
        } else {
          this.refuse('PROTOCOL_ERROR', 'session_id must equal the one in the path');
        }
      }
    }
  }

  private async attach(request: AttachRequest, replacing: SurfaceSync | null): Promise<void> {
    // Nothing of the earlier attachment is written after this; what it was owed the new one's drain
    // brings.
    replacing?.stop();
    this.output.aliases = request.context.aliases !== false;
    const steps = new AttachSteps(this.sessionId, this.address, this.parts.events);
    const deadline = setTimeout(() => {
      this.failAttach(new Error('it did not end in time'));
    }, this.parts.timings.attach);
    this.phase = { type: 'attaching', deadline, steps, current: replacing };
    try {
      const result = await this.parts.tracing.span('attach', (span) => {
        span.set({ 'sbp.session_id': this.sessionId });
        return steps.run(request);
      });
      // Where it closed meanwhile, `end` has taken back what was appended.
      if (this.hasClosed || result.type === 'abandoned') return;
      if (result.type === 'refused') this.refuse(result.as, result.detail);
      else if (result.type === 'overloaded') this.close(CLOSE.OVERLOADED, 'refused');
      else await this.beginSync(result.surface, deadline, replacing);
    } catch (error) {
      this.failAttach(error);
    }
    this.handleFrames();
  }

  private async beginSync(
    surface: SyncSurface,
    deadline: NodeJS.Timeout,
    replacing: SurfaceSync | null,
  ): Promise<void> {
    const { output, acknowledger, parts } = this;
    const sync = new SurfaceSync(surface, parts, output, acknowledger, this.syncEvents());
    if (replacing !== null) parts.watcher.detached(replacing);
    this.phase = { type: 'attaching', deadline, steps: null, current: sync };
    const begun = sync.begin();
    // From here on it is told of pokes and live text; not before its first run has the floor.
    parts.watcher.attached(sync);
    await begun;
    if (this.hasClosed) return;
    clearTimeout(deadline);
    this.phase = { type: 'attached', sync };
  }

  /** The storage failed, or does not answer. */
  private failAttach(error: unknown): void {
    if (this.hasClosed) return;
    this.parts.watcher.problem(`attach to session ${this.sessionId}`, error);
    this.close(CLOSE.OVERLOADED, 'refused');
  }

  private syncEvents(): SyncEvents {
    return {
      ended: (end) => {
        this.syncEnded(end);
      },
      failed: (error) => {
        this.parts.watcher.problem(`sync of session ${this.sessionId}`, error);
      },
    };
  }

  private syncEnded(end: SyncEnd): void {
    switch (end.type) {
      case 'replaced':
        this.parts.metrics.takenOver();
        this.close(CLOSE.REPLACED, null);
        return;
      case 'detached':
        this.close(CLOSE.GOING_AWAY, null);
        return;
      case 'revoked':
        this.refuse('FORBIDDEN', 'session_token was revoked');
        return;
      case 'finished':
        this.close(CLOSE.NORMAL, 'finished');
        return;
      case 'failed':
        this.parts.watcher.problem(`what session ${this.sessionId} owes its surface`, end.error);
        this.close(CLOSE.OVERLOADED, 'refused');
    }
  }

  /**
   * Writes nothing more, and closes when the log knows; a client that sees the 1000 knows that its
   * Tether is on.
   */
  private async detachByClient(): Promise<void> {
    this.acknowledger.closedCleanly();
    this.end('detach');
    await within(Promise.all(this.detaching), this.parts.timings.detach);
    this.output.close(CLOSE.NORMAL);
  }

  private unresponsive(): void {
    this.close(CLOSE.UNRESPONSIVE, 'unresponsive');
  }

  private refuse(type: 'SESSION_NOT_FOUND' | 'FORBIDDEN' | 'PROTOCOL_ERROR', detail: string): void {
    this.close(CLOSE[type], 'refused', { type, detail });
  }

  /**
   * `reason`: what the log is told; null where the log itself says that the surface is not attached
   * any more.
   */
  private close(
    close: Close,
    reason: DetachReason | null,
    farewell: ServerFrame | null = null,
  ): void {
    if (this.hasClosed) return;
    this.end(reason);
    this.output.close(close, farewell);
  }

  private end(reason: DetachReason | null): void {
    const phase = this.phase;
    this.phase = { type: 'closed' };
    this.frames.clear();
    this.output.end();
    this.acknowledger.stop();
    if (phase.type === 'awaiting-attach' || phase.type === 'attaching')
      clearTimeout(phase.deadline);
    const sync = currentSync(phase);
    if (sync !== null) {
      sync.stop();
      this.parts.watcher.detached(sync);
      if (reason !== null) this.detach(sync.surface, reason);
    }
    const begun = phase.type === 'attaching' ? (phase.steps?.abandon() ?? null) : null;
    if (begun !== null) this.detach(begun, reason ?? 'closed');
    this.parts.watcher.closed(this);
  }

  private detach(id: AttachmentId, reason: DetachReason): void {
    const detached = this.parts.events.detach(id, reason).finally(() => {
      this.detaching.delete(detached);
    });
    this.detaching.add(detached);
  }

  private acknowledge(seq: number): void {
    const sync = currentSync(this.phase);
    if (sync !== null) this.parts.events.acknowledge(sync.surface, seq);
  }
}

function currentSync(phase: Phase): SurfaceSync | null {
  switch (phase.type) {
    case 'attached':
      return phase.sync;
    case 'attaching':
      return phase.current;
    case 'awaiting-attach':
    case 'closed':
      return null;
  }
}

/**
 * Bytes of frames that may wait for a phase's end. Before the first attach nobody knows yet who
 * sends them.
 */
function mostWaitingBytes(phase: Phase): number {
  const isUnknown = phase.type === 'attaching' && phase.current === null;
  return isUnknown ? LIMITS.attachFrame : LIMITS.clientFrame;
}
