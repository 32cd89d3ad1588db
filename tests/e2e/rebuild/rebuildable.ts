import type { Row } from '../topology/postgres.js';
import type { Ended } from './command.js';

/** Tables that a rebuild makes again, and nothing else writes to. */
export const READ_MODELS = [
  'turns',
  'exports',
  'live_sessions',
  'tool_rounds',
  'tool_calls',
  'surface_tools',
  'session_origins',
  'promised_sessions',
  'quarantined_sessions',
  'quarantined_events',
  'skipped_events',
] as const;
type ReadModel = (typeof READ_MODELS)[number];

/** An installation that can be stopped, robbed of its read models, and rebuilt. */
export interface Rebuildable {
  /** Starts it, on the log that it has; gives its address. */
  readonly start: () => Promise<string>;
  /** Stops all its services. */
  readonly stop: () => Promise<void>;
  /** Empties every table that a rebuild makes, or a service after it; it is stopped. */
  readonly emptyTables: () => Promise<void>;
  /** Runs the rebuild command; it is stopped. */
  readonly rebuild: () => Promise<void>;
  /** Writes a record into the log, whatever it is. Embedded it is stopped. */
  readonly write: (sessionId: string, text: string) => Promise<void>;
  /** Changes its tables; it is stopped. */
  readonly execute: (statement: string) => Promise<void>;
  /** Runs a command of `sbp-server` on it. */
  readonly command: (...args: readonly string[]) => Promise<Ended>;
  /** All rows of a read model. */
  readonly rows: (table: ReadModel) => Promise<readonly Row[]>;
  readonly remove: () => Promise<void>;
}
