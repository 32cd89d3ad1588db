import type {
  LogEventOf,
  Message,
  ProcessAddress,
  TurnError,
  TurnStatus,
  Usage,
} from '#libs/protocol';

/**
 * What an event changes outside the state row: turns and what is looked up by other keys. Each is
 * written as it stands.
 */
export type Change =
  | {
      readonly type: 'session-opened';
      readonly principal: string;
      readonly agentId: string;
      readonly openedEpoch: number;
    }
  | {
      readonly type: 'turn-started';
      readonly turnId: string;
      readonly number: number;
      readonly epoch: number;
      readonly runner: ProcessAddress;
      readonly startedAt: string;
      readonly request: LogEventOf<'turn.started'>['data'];
    }
  | {
      readonly type: 'turn-adopted';
      readonly turnId: string;
      readonly epoch: number;
      readonly runner: ProcessAddress;
      readonly adoptions: number;
    }
  | {
      readonly type: 'turn-ended';
      readonly turnId: string;
      readonly status: TurnStatus;
      readonly endedAt: string;
      /** Its place in the Tether, or null if no surface is owed it. */
      readonly seq: number | null;
      readonly messages: readonly Message[];
      readonly modelUsed: string | null;
      readonly usage: Usage | null;
      readonly costUsd: number | null;
      readonly snapshotId: string | null;
      readonly error: TurnError | null;
    }
  | { readonly type: 'turn-owed'; readonly turnId: string; readonly seq: number }
  | {
      readonly type: 'session-exported';
      readonly data: LogEventOf<'session.exported'>['data'];
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
