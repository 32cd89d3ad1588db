import type { FoldedEventOf, ProcessAddress, TurnStatus, Usage } from '#libs/protocol';

/**
 * What an event changes outside the state row: turns, and what is looked up by other keys. Whoever
 * writes the rows adds the event's content where a change says that it carries it [A10].
 */
export type Change =
  | {
      readonly type: 'session-opened';
      readonly principal: string;
      readonly agentId: string;
      readonly openedEpoch: number;
    }
  /** Carries the content: the request. */
  | {
      readonly type: 'turn-queued';
      readonly turnId: string;
      readonly place: number;
      readonly data: FoldedEventOf<'turn.queued'>['data'];
      readonly queuedAt: string;
    }
  /** Nothing is left of a turn that waited. */
  | { readonly type: 'turn-forgotten'; readonly turnId: string; readonly place: number }
  /** Carries the content, unless the turn was superseded: why. */
  | {
      readonly type: 'turn-withdrawn';
      readonly turnId: string;
      readonly number: number;
      /** Its place in the queue. */
      readonly place: number;
      readonly status: TurnStatus;
      readonly endedAt: string;
      readonly seq: number | null;
      readonly errorCode: string;
      readonly superseded: boolean;
      /** The place in the transcript where its messages would stand. */
      readonly index: number;
      readonly steps: number;
      readonly sessionCostUsd: number | null;
    }
  /** Carries the content: what was asked. */
  | {
      readonly type: 'turn-started';
      readonly turnId: string;
      readonly number: number;
      /** Its place in the queue that it has left; null if it did not wait. */
      readonly place: number | null;
      readonly epoch: number;
      readonly runner: ProcessAddress;
      readonly startedAt: string;
      readonly model: string;
      readonly checkpointEvery: number;
      /** The place of its first message in the transcript, from 0. */
      readonly firstIndex: number;
      /** The place behind its last one. */
      readonly endIndex: number;
      /** Whether messages from `firstIndex` on were there: they are not visible any more. */
      readonly cuts: boolean;
      readonly systemTurn: number;
    }
  | {
      readonly type: 'turn-adopted';
      readonly turnId: string;
      readonly number: number;
      readonly epoch: number;
      readonly runner: ProcessAddress;
    }
  /** Carries the content, unless the turn was superseded: what came of it. */
  | {
      readonly type: 'turn-ended';
      readonly turnId: string;
      readonly number: number;
      /** Of the attempt that ended it, or of whoever stopped it. */
      readonly epoch: number;
      readonly status: TurnStatus;
      readonly endedAt: string;
      /** Its place in the Tether, or null if no surface is owed it. */
      readonly seq: number | null;
      readonly endIndex: number;
      readonly modelUsed: string | null;
      readonly usage: Usage | null;
      readonly costUsd: number | null;
      readonly snapshotId: string | null;
      readonly errorCode: string | null;
      /** Whether the model itself did not take its messages: they are not sent to it again. */
      readonly refused: boolean;
      /** Whether the model has not seen it. */
      readonly unreached: boolean;
      /** Whether another turn's start ended it: the event is the other's. */
      readonly superseded: boolean;
      /** Of the session, after it. */
      readonly steps: number;
      readonly sessionCostUsd: number | null;
    }
  | {
      readonly type: 'turn-owed';
      readonly turnId: string;
      readonly number: number;
      readonly seq: number;
    }
  /** Carries the content: the label. */
  | {
      readonly type: 'session-exported';
      readonly data: FoldedEventOf<'session.exported'>['data'];
      readonly at: string;
    };

/** What one event made of a session. */
export interface Evolution<S> {
  readonly state: S;
  readonly changes: readonly Change[];
  /**
   * Who should look at the session now: the gateways whose surface has something new to see [A8].
   */
  readonly poke: readonly ProcessAddress[];
}
