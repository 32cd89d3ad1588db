import { mustBeMoreThanToken, requireToken } from '#libs/access';
import { Injectable } from '@nestjs/common';
import { CompletionsOptions } from '../completions-options.js';
import type { TrackedRequest } from '../http/tracked-request.js';

/** Which session a request belongs to. */
export type Target =
  | { readonly type: 'new' }
  | { readonly type: 'session'; readonly sessionId: string }
  /** The agent's live session; one is opened if there is none. */
  | { readonly type: 'live' };

/**
 * The five orders: forced, named, by token, live, else a new one. Whether the session is there, and
 * the caller's, shows when it is claimed.
 */
@Injectable()
export class SessionResolver {
  constructor(private readonly options: CompletionsOptions) {}

  /** @throws SbpError SBP_FORBIDDEN */
  resolve({ sbp, credential }: Pick<TrackedRequest, 'sbp' | 'credential'>): Target {
    const named = sbp?.session_id?.toLowerCase() ?? null;
    // A token and an id that disagree are refused whatever else is asked for.
    const sessionId = named ?? credential.tokenSession;
    if (sessionId !== null) requireToken(sessionId, credential, 'sbp.session_id');
    if (sbp?.force_new_session === true) {
      mustBeMoreThanToken(credential);
      return { type: 'new' };
    }
    if (sessionId !== null) return { type: 'session', sessionId };
    return sbp !== null && this.options.implicitSession ? { type: 'live' } : { type: 'new' };
  }
}
