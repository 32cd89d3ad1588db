import { randomUUID } from 'node:crypto';
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
  private readonly id: AttachmentId;
  private isAbandoned = false;
  /** The event is in the log, or may be. */
  private isAppended = false;

  constructor(
    private readonly sessionId: string,
    private readonly events: SurfaceEvents,
  ) {
    this.id = { sessionId, attachId: randomUUID() };
  }

  /**
   * @throws SbpError SBP_UPSTREAM_UNAVAILABLE while the session is not readable, and whatever the
   * storage throws
   */
  async run({ token, context }: AttachRequest): Promise<AttachResult> {
    const { events, sessionId, id } = this;
    const admission = await events.admit(sessionId, token);
    if (admission === 'not-found')
      return refused('SESSION_NOT_FOUND', `No session with ID ${sessionId}`);
    if (admission === 'forbidden') return refused('FORBIDDEN', 'session_token invalid or expired');
    const renewed = await events.renewToken(sessionId);
    const decided = await events.decideAttach(id, context);
    if (decided === null) return { type: 'overloaded' };
    // No `await` may stand between this check and the append, because an attach that is abandoned
    // in between would never be taken back.
    if (this.isAbandoned) return { type: 'abandoned' };
    this.isAppended = true;
    const outcome = await events.attach(decided);
    if (outcome === 'overloaded') this.isAppended = false;
    if (outcome !== 'attached') return { type: 'overloaded' };
    return {
      type: 'attached',
      surface: { ...id, context, token: renewed, cursor: decided.cursor },
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
