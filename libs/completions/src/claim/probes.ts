import { SessionAccess } from '#libs/access';
import { SessionTokens } from '#libs/auth';
import type { OpenSession } from '#libs/domain';
import { textsOf } from '#libs/domain';
import type { Message, SbpProbe } from '#libs/protocol';
import { SbpError } from '#libs/protocol';
import { SessionReads, Transcripts } from '#libs/store';
import { Injectable } from '@nestjs/common';
import type { TrackedRequest } from '../http/tracked-request.js';
import { SessionResolver } from './session-resolver.js';

/** A tracked request with empty `messages`: it asks what there is to resume. */
export type Probe = Pick<TrackedRequest, 'sbp' | 'credential' | 'agentId'>;

/** Messages at a conversation's end among which the user's last one is looked for. */
const LOOK_BACK = 50;
/** The most code points of it that a prompt repeats. */
const LONGEST_QUOTE = 200;

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
    private readonly transcripts: Transcripts,
    private readonly tokens: SessionTokens,
  ) {}

  /**
   * @throws SbpError SBP_SESSION_NOT_FOUND, also where a request like it would open a session;
   *   SBP_FORBIDDEN
   */
  async answer(probe: Probe): Promise<SbpProbe> {
    const sessionId = await this.find(probe);
    const session = await this.access.authorise(sessionId, probe.credential, 'sbp.session_id');
    const { token } = await this.tokens.issue(sessionId);
    const { checkpoint, messages, turn, steps } = session;
    return {
      session_id: sessionId,
      session_token: token,
      snapshot_id: checkpoint?.snapshotId ?? null,
      resume_available: messages > 0 || turn !== null,
      resume_prompt: resumePrompt(steps, await this.lastSaid(sessionId, session)),
      last_checkpoint: checkpoint?.at ?? null,
      step_count: steps,
    };
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

  /** What the user said last, in words; null where that was long ago, or no text. */
  private async lastSaid(sessionId: string, { messages }: OpenSession): Promise<string | null> {
    if (messages === 0) return null;
    const from = Math.max(0, messages - LOOK_BACK);
    const page = await this.transcripts.page(sessionId, from, LOOK_BACK);
    const said = page.findLast(({ message }) => message.role === 'user');
    return said === undefined ? null : textOf(said.message);
  }
}

function textOf({ content }: Message): string | null {
  const text = textsOf(content).join(' ').replaceAll(/\s+/g, ' ').trim();
  return text === '' ? null : text;
}

/** Null where nothing was said and nothing done. */
function resumePrompt(steps: number, said: string | null): string | null {
  if (said === null && steps === 0) return null;
  const begin = `Go on after ${steps} ${steps === 1 ? 'turn' : 'turns'}.`;
  return said === null ? begin : `${begin} The user said last: “${shortened(said)}”`;
}

function shortened(text: string): string {
  const points = Array.from(text);
  return points.length > LONGEST_QUOTE ? `${points.slice(0, LONGEST_QUOTE).join('')}…` : text;
}
