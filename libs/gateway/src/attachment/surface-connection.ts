import { randomUUID } from 'node:crypto';
import type { ClientFrame, Close, ServerFrame } from '#libs/protocol';
import { CLOSE, LIMITS } from '#libs/protocol';
import { Acknowledger } from '../acknowledgement/acknowledger.js';
import type { FirstFrame, IncomingFrame } from '../socket/client-frames.js';
import { readFirstFrame, readLaterFrame } from '../socket/client-frames.js';
import { within } from '../deadline.js';
import type { DetachReason, SurfaceFacts } from './surface-facts.js';
import { SurfaceOutput } from '../socket/surface-output.js';
import type { SurfaceSocket } from '../socket/surface-socket.js';
import type { SurfaceTimings } from '../surface-timings.js';
import type { SyncEnd, SyncEvents, SyncParts } from '../sync/sync.js';
import { SurfaceSync } from '../sync/sync.js';

/**
 * Client frames that may wait for an attach; more, or more bytes than one frame may have, is too
 * big.
 */
const MAX_WAITING_FRAMES = 256;

/** What a gateway gives each of its connections. */
export interface ConnectionParts extends SyncParts {
  readonly facts: SurfaceFacts;
  readonly timings: SurfaceTimings;
  readonly watcher: ConnectionWatcher;
}

/** Who must know what becomes of connections. */
export interface ConnectionWatcher {
  attached(sync: SurfaceSync): void;
  detached(sync: SurfaceSync): void;
  closed(connection: SurfaceConnection): void;
  /** A frame of a known type with bad fields was ignored. */
  ignored(): void;
  /** Something failed that the client cannot be told. */
  problem(problem: string, error: unknown): void;
}

type Phase =
  | { readonly type: 'awaiting-attach'; readonly deadline: NodeJS.Timeout }
  /**
   * Until SESSION_ATTACHED. `current`: what is attached, also before it where a client attaches
   * anew on one socket.
   */
  | { readonly type: 'attaching'; readonly current: SurfaceSync | null }
  | { readonly type: 'attached'; readonly sync: SurfaceSync }
  | { readonly type: 'closed' };

/**
 * One WebSocket of a surface, from its upgrade to its end: the frame rules, the attach, and how it
 * ends.
 */
export class SurfaceConnection {
  private readonly output: SurfaceOutput;
  private readonly acknowledger: Acknowledger;
  private phase: Phase;
  private frames: IncomingFrame[] = [];
  private bytes = 0;
  private readonly detaching = new Set<Promise<void>>();

  constructor(
    private readonly sessionId: string,
    socket: SurfaceSocket,
    private readonly parts: ConnectionParts,
  ) {
    const { timings } = parts;
    this.output = new SurfaceOutput(socket, timings, () => {
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

  /** A message of the client; handled in order, each after the one before. */
  receive(frame: IncomingFrame): void {
    if (this.phase.type === 'closed') return;
    if (this.phase.type === 'awaiting-attach') clearTimeout(this.phase.deadline);
    this.frames.push(frame);
    this.bytes += frame.bytes;
    if (this.frames.length > MAX_WAITING_FRAMES || this.bytes > LIMITS.clientFrame) {
      this.close(CLOSE.TOO_BIG, 'refused');
    } else {
      this.handleFrames();
    }
  }

  /** The pong of a WebSocket ping. */
  pong(payload: string): void {
    this.acknowledger.libraryPong(payload);
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
      if (frame === undefined) return;
      this.bytes -= frame.bytes;
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
      case 'protocol-error':
        this.refuse('PROTOCOL_ERROR', read.detail);
        return;
      case 'bad-fields':
        this.parts.watcher.ignored();
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
      case 'DETACH':
        void this.detachByClient();
        return;
      case 'ATTACH_SESSION': {
        const { session_id, session_token: token, surface_context: context } = frame;
        if (session_id === this.sessionId) {
          void this.attach({ type: 'attach', token, context: context ?? {} }, sync);
        } else {
          this.refuse('PROTOCOL_ERROR', 'session_id must equal the one in the path');
        }
      }
    }
  }

  private async attach(
    frame: Extract<FirstFrame, { type: 'attach' }>,
    replacing: SurfaceSync | null,
  ): Promise<void> {
    // Nothing of the earlier attachment is written after this; what it was owed the new one's drain
    // brings.
    replacing?.stop();
    this.phase = { type: 'attaching', current: replacing };
    try {
      await this.tryAttach(frame, replacing);
    } catch (error) {
      this.parts.watcher.problem(`attach to session ${this.sessionId}`, error);
      this.close(CLOSE.OVERLOADED, 'refused');
    }
    this.handleFrames();
  }

  private async tryAttach(
    { token, context }: Extract<FirstFrame, { type: 'attach' }>,
    replacing: SurfaceSync | null,
  ): Promise<void> {
    const { facts, watcher } = this.parts;
    const { sessionId } = this;
    const admission = await facts.admit(sessionId, token);
    if (this.hasClosed()) return;
    if (admission === 'not-found') {
      this.refuse('SESSION_NOT_FOUND', `No session with ID ${sessionId}`);
      return;
    }
    if (admission === 'forbidden') {
      this.refuse('FORBIDDEN', 'session_token invalid or expired');
      return;
    }
    const renewed = await facts.renewToken(sessionId);
    if (this.hasClosed()) return;
    const attachId = randomUUID();
    const outcome = await facts.attach({ sessionId, attachId }, context);
    if (outcome.type === 'overloaded') {
      this.close(CLOSE.OVERLOADED, 'refused');
      return;
    }
    const surface = { sessionId, attachId, context, token: renewed, cursor: outcome.cursor };
    const sync = new SurfaceSync(
      surface,
      this.parts,
      this.output,
      this.acknowledger,
      this.syncEvents(),
    );
    if (this.hasClosed()) {
      this.detach(sync, 'closed');
      return;
    }
    if (replacing !== null) watcher.detached(replacing);
    this.phase = { type: 'attaching', current: sync };
    const begun = sync.begin();
    // From here on it is told of pokes and live text; not before its first run has the floor.
    watcher.attached(sync);
    await begun;
    if (!this.hasClosed()) this.phase = { type: 'attached', sync };
  }

  private hasClosed(): boolean {
    return this.phase.type === 'closed';
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
        this.close(CLOSE.REPLACED, null);
        return;
      case 'detached':
        this.close(CLOSE.GOING_AWAY, null);
        return;
      case 'failed':
        this.parts.watcher.problem(`drain of session ${this.sessionId}`, end.error);
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
    if (this.hasClosed()) return;
    this.end(reason);
    this.output.close(close, farewell);
  }

  private end(reason: DetachReason | null): void {
    const phase = this.phase;
    this.phase = { type: 'closed' };
    this.frames = [];
    this.output.end();
    this.acknowledger.stop();
    if (phase.type === 'awaiting-attach') clearTimeout(phase.deadline);
    const sync = currentSync(phase);
    if (sync !== null) {
      sync.stop();
      this.parts.watcher.detached(sync);
      if (reason !== null) this.detach(sync, reason);
    }
    this.parts.watcher.closed(this);
  }

  private detach(sync: SurfaceSync, reason: DetachReason): void {
    const detached = this.parts.facts.detach(sync.surface, reason).finally(() => {
      this.detaching.delete(detached);
    });
    this.detaching.add(detached);
  }

  private acknowledge(seq: number): void {
    const sync = currentSync(this.phase);
    if (sync !== null) this.parts.facts.acknowledge(sync.surface, seq);
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
