import type { ServerResponse } from 'node:http';
import { attemptId } from '#libs/live';
import { SbpError } from '#libs/protocol';
import type { TurnRecord } from '#libs/store';
import type { Patience } from './patient-writer.js';
import { PATIENCE, PatientWriter } from './patient-writer.js';
import { sseEvent } from './sse-event.js';
import { finishReason, textChunk } from './turn-chunks.js';
import type { TextChunk, TurnReader } from './turn-follower.js';
import type { Following, TurnFollowers } from './turn-followers.js';

/** A place in a turn's text: which attempt, and how many code points of it. */
export interface Place {
  readonly chunkId: string;
  readonly codePoints: number;
}

/**
 * One reader of a turn over HTTP, from a place in its text to its end. What was sent of an attempt
 * that was given up is void: `event: reset` says so, and the next one begins at its first
 * character.
 */
export class TurnStream implements TurnReader {
  private readonly writer: PatientWriter;
  private following: Following | null = null;
  private isGone = false;

  /** @param at what the reader has already; null for nothing */
  constructor(
    private readonly sessionId: string,
    /** As it was when it was asked for. */
    private readonly turn: TurnRecord,
    private at: Place | null,
    response: ServerResponse,
    patience: Patience = PATIENCE,
  ) {
    const leave = (): void => {
      this.isGone = true;
      this.following?.leave();
    };
    this.writer = new PatientWriter(response, patience, leave);
    response.on('close', leave);
    // An error of a connection is followed by its `close`.
    response.on('error', () => undefined);
  }

  /** Resolves when the turn has ended and its reader knows, or is gone. */
  async run(followers: TurnFollowers): Promise<void> {
    this.following = followers.follow(this.sessionId, this.turn.turnId, this);
    if (this.isGone) this.following.leave();
    const ended = await this.following.ended;
    if (ended !== null) await this.end(ended);
  }

  parked(): void {
    // Its reader waits until it goes on.
  }

  /** Of a chunk, what lies behind the place that the reader has. */
  chunk({ chunk_id: chunkId, offset, delta }: TextChunk): void {
    if (this.at?.chunkId !== chunkId) {
      if (this.at !== null) this.writer.stream(`event: reset\ndata: {}\n\n`);
      this.at = { chunkId, codePoints: 0 };
    }
    const points = Array.from(delta);
    const news = points.slice(Math.max(0, this.at.codePoints - offset)).join('');
    const codePoints = Math.max(this.at.codePoints, offset + points.length);
    this.at = { chunkId, codePoints };
    if (news === '') return;
    const data = textChunk(this.turn, { content: news }, null);
    this.writer.stream(sseEvent(JSON.stringify(data), placeId(this.at)));
  }

  private async end(turn: TurnRecord): Promise<void> {
    const { turnId, status, epoch, error } = turn;
    this.at ??= { chunkId: attemptId(turnId, epoch), codePoints: 0 };
    if (status === 'completed') {
      const data = JSON.stringify(textChunk(turn, {}, finishReason(turn)));
      await this.writer.finish(`${sseEvent(data, placeId(this.at))}data: [DONE]\n\n`, 'end');
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
}

function placeId({ chunkId, codePoints }: Place): string {
  return `${chunkId}:${codePoints}`;
}
