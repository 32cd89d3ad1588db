import type { Credential } from '#libs/access';
import { SessionTokens } from '#libs/auth';
import type { OpenSession } from '#libs/domain';
import { textsOf } from '#libs/domain';
import type { Message, SbpProbe } from '#libs/protocol';
import { Transcripts } from '#libs/store';
import { Injectable } from '@nestjs/common';

/** Messages at a conversation's end among which the user's last one is looked for. */
const LOOK_BACK = 50;
/** The most code points of it that a prompt repeats. */
const LONGEST_QUOTE = 200;

/** Says what there is to resume in a session. */
@Injectable()
export class Resumption {
  constructor(
    private readonly transcripts: Transcripts,
    private readonly tokens: SessionTokens,
  ) {}

  /** `credential`: of whoever is told. */
  async of(
    sessionId: string,
    session: OpenSession,
    { tokenSession }: Credential,
  ): Promise<SbpProbe> {
    const { checkpoint, messages, turn, steps, life, tokenGeneration } = session;
    const { token } = await this.tokens.issue(sessionId, tokenGeneration);
    return {
      session_id: sessionId,
      session_token: token,
      snapshot_id: checkpoint?.snapshotId ?? null,
      resume_available: messages > 0 || turn !== null || life.type === 'suspended',
      resume_prompt: resumePrompt(steps, await this.lastSaid(sessionId, session)),
      last_checkpoint: checkpoint?.at ?? null,
      step_count: steps,
      // A session's token permits nothing of another one.
      ...(tokenSession === null ? successorOf(session) : {}),
    };
  }

  /** What the user said last, in words; null where that was long ago, or no text. */
  private async lastSaid(sessionId: string, session: OpenSession): Promise<string | null> {
    const { messages } = session;
    if (messages === 0) return null;
    const from = Math.max(0, messages - LOOK_BACK);
    const page = await this.transcripts.page(sessionId, session, from, LOOK_BACK);
    const said = page.findLast(({ message }) => message.role === 'user');
    return said === undefined ? null : textOf(said.message);
  }
}

function successorOf({ life }: OpenSession): Pick<SbpProbe, 'handed_off_to'> {
  if (life.type !== 'suspended' || life.reason !== 'handoff') return {};
  return { handed_off_to: { session_id: life.successor, agent_id: life.agentId } };
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
