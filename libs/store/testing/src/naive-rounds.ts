import type { Change } from '#libs/domain';
import { TOO_LARGE } from '#libs/domain';
import type { LogEvent, Message } from '#libs/protocol';
import type { TranscriptEntry } from '../../src/reads/transcripts.js';

interface NaiveRound {
  readonly turnId: string;
  readonly message: Message;
  readonly calledAt: string;
  returnedAt: string | null;
  /** By the ids of the calls, what the model is told of them. */
  readonly told: Map<string, string>;
}

/** The rounds of a session's turns, each whole; their results are numbers, and none is an image. */
export class NaiveRounds {
  private readonly rounds: NaiveRound[] = [];

  add(change: Change, event: LogEvent): void {
    if (change.type === 'tools-called' && event.type === 'tools.called') {
      const { content, data } = event;
      const told = new Map(
        data.calls.map(({ call_id }, at) => {
          const error = content.calls[at]?.refusal ?? GONE;
          return [call_id, JSON.stringify({ error })];
        }),
      );
      const { turnId, at: calledAt } = change;
      const { message } = content;
      this.rounds.push({ turnId, message, calledAt, returnedAt: null, told });
    }
    if (change.type === 'call-returned') {
      const round = this.rounds.find(({ told }) => told.has(change.callId));
      if (event.type === 'tool.returned') {
        const { result } = event.content;
        const told = change.isTooLarge ? { error: TOO_LARGE } : result;
        round?.told.set(change.callId, JSON.stringify(told));
      }
      // Where it is allowed and nobody has its tool, the same event cancels it.
      if (change.outcome === 'denied') {
        round?.told.set(change.callId, JSON.stringify({ error: 'denied' }));
      }
    }
    if (change.type === 'round-returned') {
      const round = this.rounds.filter(({ turnId }) => turnId === change.turnId).at(-1);
      if (round !== undefined) round.returnedAt = change.at;
    }
  }

  /** The entries of a turn's rounds, without their places. */
  of(turnId: string, modelUsed: string | null): readonly Omit<TranscriptEntry, 'index'>[] {
    return this.rounds
      .filter((round) => round.turnId === turnId)
      .flatMap(({ message, calledAt, returnedAt, told }) => [
        { turnId, message, modelUsed, costUsd: null, createdAt: calledAt },
        ...[...told].map(([callId, content]) => ({
          ...{ turnId, modelUsed: null, costUsd: null, createdAt: returnedAt ?? calledAt },
          message: { role: 'tool' as const, tool_call_id: `m-${callId}`, content },
        })),
      ]);
  }
}

const GONE = 'cancelled: the device that has the tool went away';
