import type {
  FoldedEventOf,
  ProcessAddress,
  SessionOrigin,
  ToolOutcome,
  TurnStatus,
  Usage,
} from '#libs/protocol';

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
      /** Whether it is its agent's live session, until another one is. */
      readonly isLive: boolean;
    }
  /** Carries the content: its label, and what an import has brought. */
  | {
      readonly type: 'session-derived';
      readonly origin: SessionOrigin;
      readonly steps: number;
      readonly messages: number;
      readonly at: string;
    }
  /** Carries the content: what was copied. */
  | {
      readonly type: 'part-restored';
      readonly data: FoldedEventOf<'session.restored'>['data'];
      readonly at: string;
    }
  /** Carries the content, of which the note is the message. */
  | {
      readonly type: 'note-added';
      readonly noteId: string;
      readonly number: number;
      readonly index: number;
      readonly systemTurn: number;
      readonly steps: number;
      readonly sessionCostUsd: number | null;
      readonly sessionBytes: number;
      readonly at: string;
    }
  /** Carries the content: of a handoff, its message and reason; of one from elsewhere, more. */
  | {
      readonly type: 'session-promised';
      /** The session that is to be opened, and the one that it is made from. */
      readonly successor: string;
      readonly source: string;
      readonly data: FoldedEventOf<
        'session.handed_off' | 'export.consumed' | 'import.begun'
      >['data'];
      readonly maker: ProcessAddress;
      readonly by: 'handoff' | 'import' | 'remote';
      readonly at: string;
    }
  /** The session was opened that somebody had promised, or nothing comes of it. */
  | { readonly type: 'promise-kept' }
  /** Nothing is left of what was copied for a session. */
  | { readonly type: 'copies-dropped' }
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
      readonly sessionBytes: number;
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
  | { readonly type: 'turn-parked'; readonly turnId: string; readonly number: number }
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
      readonly sessionBytes: number;
      /** How often its model had called tools of the surface. */
      readonly rounds: number;
    }
  | {
      readonly type: 'turn-owed';
      readonly turnId: string;
      readonly number: number;
      readonly seq: number;
    }
  /** Carries the content: what the model said, and the calls. */
  | {
      readonly type: 'tools-called';
      readonly turnId: string;
      readonly number: number;
      readonly data: FoldedEventOf<'tools.called'>['data'];
      /** The snapshot before the calls. */
      readonly snapshotId: string;
      readonly at: string;
    }
  /** Carries the content where its own event brought it: what came of it. */
  | {
      readonly type: 'call-returned';
      readonly callId: string;
      readonly outcome: ToolOutcome;
      /** Whether its content is left out, because its round may not return so many bytes. */
      readonly isTooLarge: boolean;
      readonly at: string;
    }
  /** Carries the content: the input. */
  | { readonly type: 'tool-called'; readonly callId: string; readonly toolName: string }
  /** A human has decided about a call; `decisionId`: of the event. */
  | { readonly type: 'call-decided'; readonly callId: string; readonly decisionId: string }
  /** All calls of a round have their outcome. */
  | {
      readonly type: 'round-returned';
      readonly turnId: string;
      readonly number: number;
      readonly round: number;
      /** The snapshot after the calls. */
      readonly snapshotId: string;
      readonly at: string;
    }
  /** Carries the content, if there is one: what the surface says of its tools. */
  | { readonly type: 'surface-attached'; readonly attachId: string }
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
