import { randomUUID } from 'node:crypto';
import type { ServerResponse } from 'node:http';
import { turnText } from '#libs/domain';
import type { ShownAttempt } from '#libs/live';
import { FollowedTurn, attemptId, completion } from '#libs/live';
import type { Mailbox, MailboxMessage } from '#libs/mailbox';
import type { ProcessAddress, ServerFrame } from '#libs/protocol';
import { SbpError } from '#libs/protocol';
import type { SessionReads, TurnGlance, TurnRecord } from '#libs/store';
import type { Patience } from './patient-writer.js';
import { PATIENCE, PatientWriter } from './patient-writer.js';
import { sseEvent } from './sse-event.js';

/** How often the read models are asked what became of the turn, in ms. */
const LOOK_MS = 250;
/** After so many looks without text the runner is asked again: it may have forgotten us. */
const ASK_AGAIN = 8;

/** A place in a turn's text: which attempt, and how many code points of it. */
export interface Place {
  readonly chunkId: string;
  readonly codePoints: number;
}

interface Parts {
  readonly reads: SessionReads;
  readonly mailbox: Mailbox;
  /** Where text that is asked for is answered. */
  readonly process: ProcessAddress;
}

/**
 * One reader of a turn over HTTP, from a place in its text to its end, wherever it runs [A15]. It
 * follows the runner by `watch` and `live`, as surfaces do, and looks at the read models now and
 * then: they say when the turn has ended, or goes on as another attempt. What was sent of an
 * attempt that was given up is void: `event: reset` says so, and the next one begins at its first
 * character.
 */
export class TurnStream {
  readonly id = randomUUID();
  private readonly writer: PatientWriter;
  private followed: FollowedTurn | null = null;
  private heard = Promise.withResolvers<undefined>();
  private isGone = false;
  private silentLooks = 0;

  /** @param at what the reader has already; null for nothing */
  constructor(
    private readonly parts: Parts,
    private readonly sessionId: string,
    /** As it was when it was asked for. */
    private readonly turn: TurnRecord,
    private at: Place | null,
    response: ServerResponse,
    patience: Patience = PATIENCE,
  ) {
    const leave = (): void => {
      this.isGone = true;
      this.heard.resolve(undefined);
    };
    this.writer = new PatientWriter(response, patience, leave);
    response.on('close', leave);
    // An error of a connection is followed by its `close`.
    response.on('error', () => undefined);
  }

  /** Resolves when the turn has ended and its reader knows, or is gone. */
  async run(): Promise<void> {
    const { turn, parts, sessionId } = this;
    let glance: TurnGlance | null = turn;
    while ((glance?.status === 'open' || glance?.status === 'queued') && !this.isGone) {
      if (glance.status === 'open') this.follow(glance);
      await this.textFor(LOOK_MS);
      glance = await parts.reads.attempt(sessionId, turn.turnId);
    }
    if (this.isGone) return;
    const isEnded = turn.status !== 'open' && turn.status !== 'queued';
    const ended = isEnded ? turn : await parts.reads.turn(sessionId, turn.turnId);
    if (ended !== null) await this.end(ended);
  }

  accept(message: Extract<MailboxMessage, { type: 'live' }>): void {
    if (this.followed?.accept(message) === 'nothing') return;
    this.silentLooks = 0;
    this.heard.resolve(undefined);
  }

  private follow({ epoch, runner }: TurnGlance): void {
    const earlier = this.followed;
    this.followed = FollowedTurn.follow(this.turn.turnId, epoch, earlier);
    this.silentLooks += 1;
    const isNew = this.followed !== earlier;
    if (!isNew && this.followed.answering && this.silentLooks % ASK_AGAIN !== 0) return;
    const reader = {
      sessionId: this.sessionId,
      attachId: this.id,
      replyTo: this.parts.process,
    };
    void this.parts.mailbox.send(runner, this.followed.watch(reader));
  }

  /** Writes what is heard of the turn, for so long. */
  private async textFor(ms: number): Promise<void> {
    const time = { isOver: false };
    const timer = setTimeout(() => {
      time.isOver = true;
      this.heard.resolve(undefined);
    }, ms);
    while (!time.isOver && !this.isGone) {
      await this.heard.promise;
      this.heard = Promise.withResolvers();
      const frame = this.followed?.takeChunk() ?? null;
      if (frame !== null) this.write(frame, this.turn);
      if (this.followed?.answering === false) break;
    }
    clearTimeout(timer);
  }

  /** The committed text is the truth, whatever was sent. */
  private async end(turn: TurnRecord): Promise<void> {
    const { turnId, status, epoch, error } = turn;
    if (status === 'open' || status === 'queued') return;
    this.at ??= { chunkId: attemptId(turnId, epoch), codePoints: 0 };
    const text = status === 'completed' ? turnText(turn.output) : '';
    const shown: ShownAttempt | null = this.followed?.shown ?? null;
    const frames = completion(shown, { turnId, epoch, seq: 0, status, text, error });
    for (const frame of frames) this.write(frame, turn);
    if (status === 'completed') {
      const last = sseEvent(chunk(turn, {}, finishReason(turn)), this.placeId());
      await this.writer.finish(`${last}data: [DONE]\n\n`, 'end');
      return;
    }
    const told = new SbpError(
      status === 'cancelled' ? 'SBP_TURN_CANCELLED' : 'SBP_UPSTREAM_UNAVAILABLE',
      error?.message ?? 'The turn failed.',
      { begun: true },
    );
    const body = JSON.stringify(told.body('completions'));
    await this.writer.finish(`event: error\ndata: ${body}\n\n`, 'break');
  }

  /** Of a chunk, what lies behind the place that the reader has. */
  private write(frame: ServerFrame, turn: TurnRecord): void {
    if (frame.type !== 'TURN_CHUNK') return;
    const { chunk_id: chunkId, offset, delta } = frame;
    if (this.at?.chunkId !== chunkId) {
      if (this.at !== null) this.writer.stream(`event: reset\ndata: {}\n\n`);
      this.at = { chunkId, codePoints: 0 };
    }
    const points = Array.from(delta);
    const news = points.slice(Math.max(0, this.at.codePoints - offset)).join('');
    const codePoints = Math.max(this.at.codePoints, offset + points.length);
    this.at = { chunkId, codePoints };
    if (news === '') return;
    this.writer.stream(sseEvent(chunk(turn, { content: news }, null), this.placeId()));
  }

  private placeId(): string {
    return this.at === null ? '' : `${this.at.chunkId}:${this.at.codePoints}`;
  }
}

/** A chunk as OpenAI's API has them. */
function chunk(turn: TurnRecord, delta: object, finish_reason: string | null): string {
  return JSON.stringify({
    id: `chatcmpl-${turn.turnId}`,
    object: 'chat.completion.chunk',
    created: Math.floor(Date.parse(turn.startedAt) / 1000),
    model: turn.modelUsed ?? turn.model,
    choices: [{ index: 0, delta, finish_reason }],
  });
}

function finishReason({ output }: TurnRecord): string {
  return output.some((message) => (message.tool_calls ?? null) !== null) ? 'tool_calls' : 'stop';
}
