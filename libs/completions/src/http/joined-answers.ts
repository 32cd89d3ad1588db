import { callsOf } from '#libs/domain';
import type { ErrorCode, JsonObject, PendingCall, SbpResponse } from '#libs/protocol';
import { ERRORS, SbpError } from '#libs/protocol';
import type { TurnRecord } from '#libs/store';
import { SessionReads, ToolReads } from '#libs/store';
import { Injectable } from '@nestjs/common';
import { Admission } from '../claim/admission.js';
import { CompletionsOptions } from '../completions-options.js';
import type { SentText } from '../turn/sent-text.js';
import { NOTHING_SENT } from '../turn/sent-text.js';
import { OK, noBody } from './answer-heads.js';
import { goesOnElsewhere, turnWasCancelled } from './answer-errors.js';
import type { SessionHeaders } from './caller.js';
import type { Joiner } from './joiner.js';
import { tellParked } from './parked-answer.js';
import type { ChunkHead } from './turn-chunks.js';
import { lastChunks, textChunk, usageChunk, wholeCompletion } from './turn-chunks.js';
import type { TextChunk, TurnReader } from './turn-follower.js';
import type { Following } from './turn-followers.js';
import { TurnFollowers } from './turn-followers.js';

/**
 * Answers callers with turns that run, or have run, for somebody else or in another process [A15]:
 * repeats of a request, callers whose turn was started elsewhere, and those whose runner lost it.
 * They get choice 0 as it is stored. None of them counts as having received it: the turn stays
 * owed.
 */
@Injectable()
export class JoinedAnswers {
  private readonly open = new Map<Following, Joiner>();

  constructor(
    private readonly followers: TurnFollowers,
    private readonly reads: SessionReads,
    private readonly tools: ToolReads,
    private readonly admission: Admission,
    private readonly options: CompletionsOptions,
  ) {}

  /** @param sent what the caller has got of an earlier attempt */
  async give(joiner: Joiner, sent: SentText = NOTHING_SENT): Promise<void> {
    const { caller, session, turnId, streams } = joiner;
    const reader = new JoinedText(joiner, sent.text);
    const following = this.followers.follow(session.sessionId, turnId, reader);
    this.open.set(following, joiner);
    caller.onGone(() => following.leave());
    reader.onOver = () => following.leave();
    try {
      const turn = await following.ended;
      if (reader.isBroken) await caller.fail(goesOnElsewhere('lost'), session);
      else if (reader.isParked) await tellParked(joiner, await this.pending(joiner));
      else if (turn === null) await this.unfinished(joiner);
      else if (turn.status !== 'completed') await fail(turn, joiner);
      else if (streams) await this.finish(turn, joiner, reader);
      else await caller.answer(OK, session, wholeCompletion(turn, await this.sbp(turn, session)));
    } catch (error) {
      if (joiner.isRepeat) throw error;
      this.options.onProblem(`the caller of turn ${turnId} was not answered`, error);
      await caller.fail(goesOnElsewhere('failed'), session);
    } finally {
      this.open.delete(following);
    }
  }

  /**
   * Ends the answers that have not begun, whose callers may ask another process; `all`: also the
   * others.
   */
  close(which: 'unbegun' | 'all'): void {
    for (const [following, joiner] of this.open) {
      if (which === 'all' || mayAskAgain(joiner)) following.leave();
    }
  }

  /** It was left, because this process ends, or is no turn any more. */
  private async unfinished(joiner: Joiner): Promise<void> {
    const { caller, session } = joiner;
    if (!caller.connected) return;
    if (mayAskAgain(joiner)) await caller.fail(this.admission.closing(), null);
    else await caller.fail(goesOnElsewhere('lost'), session);
  }

  private async pending({ session, turnId }: Joiner): Promise<readonly PendingCall[]> {
    const { sessionId } = session;
    const state = await this.reads.state(sessionId);
    const calls = state.phase === 'open' ? callsOf(state, turnId) : [];
    return this.tools.pending(sessionId, calls);
  }

  private async finish(turn: TurnRecord, joiner: Joiner, reader: JoinedText): Promise<void> {
    const { caller, session, showUsage } = joiner;
    if (!reader.endWith(turn.text)) {
      await caller.fail(goesOnElsewhere('lost'), session);
      return;
    }
    const sbp = await this.sbp(turn, session);
    for (const chunk of lastChunks(reader.head, turn, sbp)) reader.write(chunk);
    if (showUsage) reader.write(usageChunk(reader.head, turn));
    await caller.done();
  }

  private async sbp(turn: TurnRecord, session: SessionHeaders): Promise<SbpResponse> {
    const state = await this.reads.state(session.sessionId);
    const checkpoint = state.phase === 'open' ? state.checkpoint : null;
    return {
      session_id: session.sessionId,
      session_token: session.sessionToken,
      turn_id: turn.turnId,
      snapshot_id: turn.snapshotId,
      resume_available: false,
      resume_prompt: null,
      last_checkpoint: turn.snapshotId === null ? (checkpoint?.at ?? null) : turn.endedAt,
      step_count: turn.steps ?? 0,
      cost_usd: turn.costUsd,
      model_routed_to: turn.modelUsed ?? turn.model,
    };
  }
}

function mayAskAgain({ caller, isRepeat }: Joiner): boolean {
  return isRepeat && !caller.answered;
}

/** Tells a failure of the turn again, as its own caller was told it. */
async function fail(turn: TurnRecord, { caller, session }: Joiner): Promise<void> {
  const { upstream, error, status } = turn;
  if (upstream !== null && !caller.answered) {
    const headers = { 'content-type': upstream.type };
    const head = { status: upstream.status, headers, body: noBody() };
    await caller.relay(head, session, Buffer.from(upstream.body));
    return;
  }
  const message = error?.message ?? 'The turn failed.';
  await caller.fail(
    status === 'cancelled'
      ? turnWasCancelled()
      : new SbpError(codeOf(error), message, { begun: true }),
    session,
  );
}

function codeOf(error: TurnRecord['error']): ErrorCode {
  return error !== null && error.code in ERRORS
    ? (error.code as ErrorCode)
    : 'SBP_UPSTREAM_UNAVAILABLE';
}

/** The text of a turn as its caller gets it: what he has begins what comes, or it ends. */
class JoinedText implements TurnReader {
  /** What was said was not the beginning of what the turn says now. */
  isBroken = false;
  /** Nobody runs it now. */
  isParked = false;
  /** Nothing more is to be read. */
  onOver = (): void => undefined;
  readonly head: ChunkHead;
  private attempt = '';
  private said = '';
  private codePoints = 0;

  constructor(
    private readonly joiner: Joiner,
    private sent: string,
  ) {
    const { turnId, model } = joiner;
    this.head = { turnId, model, modelUsed: null, startedAt: new Date().toISOString() };
  }

  parked(): void {
    this.isParked = true;
    this.onOver();
  }

  chunk({ chunk_id: chunkId, delta }: TextChunk): void {
    if (!this.joiner.streams || this.isBroken) return;
    if (this.attempt !== chunkId) {
      this.attempt = chunkId;
      this.said = '';
      this.codePoints = 0;
    }
    this.said += delta;
    this.codePoints += Array.from(delta).length;
    this.catchUp();
  }

  /** Says the rest of the whole text; false where it does not begin as what was said. */
  endWith(text: string): boolean {
    this.said = text;
    this.codePoints = Array.from(text).length;
    this.catchUp();
    return !this.isBroken && this.sent === text;
  }

  write(chunk: JsonObject): void {
    const { caller, session } = this.joiner;
    if (!caller.answered) {
      caller.begin(OK, session);
      const first = textChunk(this.head, { role: 'assistant', content: '' }, null);
      caller.chunk(JSON.stringify(first), `${this.attempt}:0`);
    }
    caller.chunk(JSON.stringify(chunk), `${this.attempt}:${this.codePoints}`);
  }

  private catchUp(): void {
    if (this.sent.startsWith(this.said)) return;
    if (!this.said.startsWith(this.sent)) {
      this.isBroken = true;
      this.onOver();
      return;
    }
    const news = this.said.slice(this.sent.length);
    this.sent = this.said;
    this.write(textChunk(this.head, { content: news }, null));
  }
}
