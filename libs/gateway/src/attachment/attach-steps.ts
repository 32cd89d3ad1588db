import { randomUUID } from 'node:crypto';
import type { Actor } from '#libs/protocol';
import type { FirstFrame } from '../socket/client-frames.js';
import type { SyncSurface } from '../sync/sync.js';
import type { AttachmentId, SurfaceEvents } from './surface-events.js';

export type AttachRequest = Extract<FirstFrame, { type: 'attach' }>;

export type AttachResult =
  | {
      readonly type: 'refused';
      readonly as: 'SESSION_NOT_FOUND' | 'FORBIDDEN';
      readonly detail: string;
    }
  /** Surfaces fight for the session, or the log or the projection is behind: return later. */
  | { readonly type: 'overloaded' }
  /** `abandon` was called: nobody waits for the result. */
  | { readonly type: 'abandoned' }
  | { readonly type: 'attached'; readonly surface: SyncSurface };

/**
 * The way of one ATTACH_SESSION into the log: admission, a renewed token, the decision, its event,
 * the fold. It can be abandoned at any point, also while a read or an append hangs.
 */
export class AttachSteps {
  private id: AttachmentId;
  private isAbandoned = false;
  /** The event is in the log, or may be. */
  private isAppended = false;

  constructor(
    private readonly sessionId: string,
    /** The client's IP address. */
    address: string | null,
    private readonly events: SurfaceEvents,
  ) {
    const by: Actor = {
      principal: null,
      via: 'surface',
      ...(address === null ? {} : { address }),
    };
    this.id = { sessionId, attachId: randomUUID(), by };
  }

  /**
   * @throws SbpError SBP_UPSTREAM_UNAVAILABLE while the session is not readable, and whatever the
   * storage throws
   */
  async run({ token, context }: AttachRequest): Promise<AttachResult> {
    const { events, sessionId } = this;
    const admission = await events.admit(sessionId, token);
    if (admission === 'not-found')
      return refused('SESSION_NOT_FOUND', `No session with ID ${sessionId}`);
    if (admission === 'forbidden') return refused('FORBIDDEN', 'session_token invalid or expired');
    const state = admission;
    const generation = state.phase === 'open' ? state.tokenGeneration : 0;
    const renewed = await events.renewToken(sessionId, generation);
    if (state.phase === 'open') {
      this.id = { ...this.id, by: { ...this.id.by, principal: state.principal } };
    }
    // No `await` may stand between this check and the append, because an attach that is abandoned
    // in between would never be taken back.
    if (this.isAbandoned) return { type: 'abandoned' };
    this.isAppended = true;
    const outcome = await events.attach(this.id, context, state);
    if (outcome === 'overloaded') this.isAppended = false;
    if (outcome !== 'attached') return { type: 'overloaded' };
    return {
      type: 'attached',
      surface: {
        ...this.id,
        context,
        token: renewed,
        generation,
        // It may have risen since.
        cursor: state.phase === 'open' ? state.cursor : 0,
      },
    };
  }

  /** Nothing is appended after it. Returns the attachment that must be taken back, if there is. */
  abandon(): AttachmentId | null {
    this.isAbandoned = true;
    return this.isAppended ? this.id : null;
  }
}

function refused(as: 'SESSION_NOT_FOUND' | 'FORBIDDEN', detail: string): AttachResult {
  return { type: 'refused', as, detail };
}
