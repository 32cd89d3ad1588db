import type { SessionState } from '#libs/domain';
import { evolve, initialState } from '#libs/domain';
import type { LogEvent, Message } from '#libs/protocol';
import type { TranscriptEntry } from '../../src/reads/transcripts.js';
import { NaiveRounds } from './naive-rounds.js';

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

  private readonly rounds = new NaiveRounds();

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
      if (change.type === 'part-restored') this.restore(event);
      if (change.type === 'note-added') this.note(event, change.number);
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
      this.rounds.add(change, event);
      if (change.type === 'turn-withdrawn') this.withdrawn.add(change.number);
      if (change.type === 'turn-ended') {
        const { turnId, endedAt: createdAt, modelUsed, costUsd, number } = change;
        const answers = event.type === 'turn.completed' ? event.content.messages : [];
        const { entries: before } = this.current;
        const called = answers.length === 0 ? [] : this.rounds.of(turnId, modelUsed);
        const entries = [
          ...before,
          ...called.map((entry, at) => ({ ...entry, index: before.length + at })),
        ];
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

  private restore(event: LogEvent): void {
    if (event.type !== 'session.restored') return;
    const { content, data, id: turnId } = event;
    const { part, first_index: first, step_count: steps, cost_usd: totalCostUsd } = data;
    const { entries, system } = this.current;
    const copied = content.messages.map((message, at) => {
      const { model_used: modelUsed, cost_usd: costUsd, created_at } = content.about[at] ?? LOST;
      return { message, turnId, index: first + at, modelUsed, costUsd, createdAt: created_at };
    });
    const all = [...entries, ...copied];
    this.current = { system: content.system ?? system, entries: all, steps, totalCostUsd };
    this.after[part] = this.current;
  }

  private note(event: LogEvent, number: number): void {
    if (event.type !== 'session.opened') return;
    const { entries } = this.current;
    const message = { role: 'system' as const, content: event.content?.note ?? '' };
    const about = { turnId: event.id, createdAt: event.occurred_at, isNote: true as const };
    const entry = { ...about, message, index: entries.length, modelUsed: null, costUsd: null };
    this.current = { ...this.current, entries: [...entries, entry] };
    this.after[number] = this.current;
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

const LOST = { model_used: null, cost_usd: null, created_at: '' };
