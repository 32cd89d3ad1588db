import { Injectable } from '@nestjs/common';
import { SbpError } from '#libs/protocol';
import { Freshness, SessionReads } from '#libs/store';
import { CompletionsSettings } from './settings.js';
import type { TrackedRequest } from './tracked-request.js';

/** Which session a request belongs to. */
export type Target =
  | { readonly type: 'new' }
  | { readonly type: 'session'; readonly sessionId: string }
  /** The agent's live session; one is opened if there is none. */
  | { readonly type: 'live' };

/** The five orders: forced, named, by token, live, else a new one. */
@Injectable()
export class SessionResolver {
  constructor(
    private readonly settings: CompletionsSettings,
    private readonly freshness: Freshness,
    private readonly reads: SessionReads,
  ) {}

  /** @throws SbpError SBP_FORBIDDEN, SBP_SESSION_NOT_FOUND */
  async resolve(request: TrackedRequest): Promise<Target> {
    const named = request.sbp?.session_id ?? null;
    const { tokenSession } = request;
    if (named !== null && tokenSession !== null && named !== tokenSession) {
      throw new SbpError('SBP_FORBIDDEN', 'X-Session-Token belongs to another session than sbp.session_id names.', {
        param: 'sbp.session_id',
      });
    }
    if (request.sbp?.force_new_session === true) return { type: 'new' };
    const sessionId = named ?? tokenSession;
    if (sessionId !== null) {
      await this.mustBeAllowed(sessionId, request);
      return { type: 'session', sessionId };
    }
    return request.sbp !== null && this.settings.implicitSession ? { type: 'live' } : { type: 'new' };
  }

  /** A token permits its session; a principal all its own; another's does not exist to it. */
  private async mustBeAllowed(sessionId: string, request: TrackedRequest): Promise<void> {
    const missing = new SbpError('SBP_SESSION_NOT_FOUND', `No session with ID ${sessionId}.`, {
      param: 'sbp.session_id',
    });
    if ((await this.freshness.settle(sessionId)) === 'absent') throw missing;
    if (request.tokenSession === sessionId) return;
    const state = await this.reads.state(sessionId);
    if (state.phase !== 'open' || state.principal !== request.principal) throw missing;
  }
}
