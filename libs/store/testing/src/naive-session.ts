import type { SessionState } from '#libs/domain';
import { evolve, initialState } from '#libs/domain';
import type { LogEvent, Message } from '#libs/protocol';
import type { TranscriptEntry } from '../../src/reads/transcripts.js';

/** The conversation as a reader sees it who folds the whole log and keeps everything. */
export interface NaiveTranscript {
  readonly system: readonly Message[];
  readonly entries: readonly TranscriptEntry[];
  readonly steps: number;
  readonly totalCostUsd: number | null;
}

/**
 * What the reads of conversations must agree with: it applies each turn to the whole transcript,
 * and remembers what that was after each of them.
 */
export class NaiveSession {
  state: SessionState = initialState;
  private current: NaiveTranscript = { system: [], entries: [], steps: 0, totalCostUsd: 0 };
  /** By the turns' numbers; before any for 0. */
  private readonly after: NaiveTranscript[] = [this.current];

  /** Turns that never started: nothing became different by them. */
  private readonly withdrawn = new Set<number>();

  static of(events: readonly LogEvent[]): NaiveSession {
    const session = new NaiveSession();
    for (const event of events) session.add(event);
    return session;
  }

  add(event: LogEvent): void {
    const { state, changes } = evolve(this.state, event);
    this.state = state;
    for (const change of changes) {
      if (change.type === 'turn-started' && event.type === 'turn.started') {
        const { turnId, startedAt: createdAt, firstIndex } = change;
        const { entries, system } = this.current;
        const about = { turnId, createdAt, modelUsed: null, costUsd: null };
        this.current = {
          ...this.current,
          system: event.content.system ?? system,
          entries: [
            ...entries.slice(0, firstIndex),
            ...event.content.messages.map((message, at) => {
              return { ...about, message, index: firstIndex + at };
            }),
          ],
        };
        this.after[change.number] = this.current;
      }
      if (change.type === 'turn-withdrawn') this.withdrawn.add(change.number);
      if (change.type === 'turn-ended') {
        const { turnId, endedAt: createdAt, modelUsed, costUsd, number } = change;
        const answers = event.type === 'turn.completed' ? event.content.messages : [];
        const { entries } = this.current;
        this.current = {
          ...this.current,
          entries: [
            ...entries,
            ...answers.map((message, at) => ({
              ...{ message, turnId, modelUsed, createdAt, index: entries.length + at },
              costUsd: at === answers.length - 1 ? costUsd : null,
            })),
          ],
          steps: change.steps,
          totalCostUsd: change.sessionCostUsd,
        };
        this.after[number] = this.current;
      }
    }
  }

  get transcript(): NaiveTranscript {
    return this.current;
  }

  /** The number of the last turn. */
  get turns(): number {
    return this.state.phase === 'open' ? this.state.turns : 0;
  }

  /** As it was after a turn. */
  asOf(turnNumber: number): NaiveTranscript {
    let number = turnNumber;
    while (this.withdrawn.has(number)) number -= 1;
    const found = this.after[number];
    if (found === undefined) throw new Error(`there was no turn ${turnNumber}`);
    return found;
  }
}
