import { SessionAccess } from '#libs/access';
import type { SbpProbe } from '#libs/protocol';
import { SbpError } from '#libs/protocol';
import { SessionReads } from '#libs/store';
import { Injectable } from '@nestjs/common';
import type { TrackedRequest } from '../http/tracked-request.js';
import { Resumption } from './resumption.js';
import { SessionResolver } from './session-resolver.js';

/** A tracked request with empty `messages`: it asks what there is to resume. */
export type Probe = Pick<TrackedRequest, 'sbp' | 'credential' | 'agentId'>;

/**
 * Answers probes. A probe reads, as `GET /v1/sbp/sessions/{id}` does: it opens no session, claims
 * none, and leaves nothing in the log.
 */
@Injectable()
export class Probes {
  constructor(
    private readonly resolver: SessionResolver,
    private readonly access: SessionAccess,
    private readonly reads: SessionReads,
    private readonly resumption: Resumption,
  ) {}

  /**
   * @throws SbpError SBP_SESSION_NOT_FOUND, also where a request like it would open a session;
   *   SBP_FORBIDDEN
   */
  async answer(probe: Probe): Promise<SbpProbe> {
    const sessionId = await this.find(probe);
    const session = await this.access.authorise(sessionId, probe.credential, 'sbp.session_id');
    return this.resumption.of(sessionId, session, probe.credential);
  }

  private async find({ sbp, credential, agentId }: Probe): Promise<string> {
    const target = this.resolver.resolve({ sbp, credential });
    if (target.type === 'session') return target.sessionId;
    const live =
      target.type === 'live' ? await this.reads.live(credential.principal, agentId) : null;
    if (live !== null) return live;
    const problem = 'There is no session to resume. Send a message, and one is opened.';
    throw new SbpError('SBP_SESSION_NOT_FOUND', problem, { param: 'messages' });
  }
}
