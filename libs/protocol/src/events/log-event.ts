import { z } from 'zod';
import {
  ExportConsumed,
  ExportRevoked,
  ImportAbandoned,
  ImportBegun,
  SessionCompleted,
  SessionExported,
  SessionFailed,
  SessionHandedOff,
  SessionOpened,
  SessionRestored,
  SessionResumed,
  SessionSuspended,
  SessionTokensRevoked,
} from './session-events.js';
import { SurfaceAcknowledged, SurfaceAttached, SurfaceDetached } from './surface-events.js';
import { ToolCalled, ToolDecided, ToolReturned, ToolsCalled } from './tool-events.js';
import {
  TurnAdopted,
  TurnCancelled,
  TurnCompleted,
  TurnFailed,
  TurnParked,
  TurnQueued,
  TurnStarted,
  TurnUndelivered,
  TurnWithdrawn,
} from './turn-events.js';

export const LogEvent = z.discriminatedUnion('type', [
  SessionOpened,
  SessionRestored,
  SessionSuspended,
  SessionResumed,
  SessionCompleted,
  SessionFailed,
  SessionHandedOff,
  SessionTokensRevoked,
  TurnQueued,
  TurnWithdrawn,
  TurnStarted,
  TurnAdopted,
  TurnParked,
  TurnCompleted,
  TurnFailed,
  TurnCancelled,
  TurnUndelivered,
  ToolsCalled,
  ToolCalled,
  ToolReturned,
  ToolDecided,
  SurfaceAttached,
  SurfaceDetached,
  SurfaceAcknowledged,
  SessionExported,
  ExportConsumed,
  ExportRevoked,
  ImportBegun,
  ImportAbandoned,
]);
/** One event of the log. */
export type LogEvent = Readonly<z.infer<typeof LogEvent>>;
export type LogEventType = LogEvent['type'];
export type LogEventOf<T extends LogEventType> = Extract<LogEvent, { type: T }>;

/** An event without what people and models wrote: all that the fold may read [A10]. */
export type FoldedEvent = LogEvent extends infer E
  ? E extends LogEvent
    ? Omit<E, 'content'>
    : never
  : never;
export type FoldedEventOf<T extends LogEventType> = Extract<FoldedEvent, { type: T }>;

/** What of an event is carried to rows as it stands; undefined where nobody wrote anything. */
export function contentOf(event: LogEvent): object | undefined {
  return 'content' in event ? event.content : undefined;
}
