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

const KNOWN = new Set<string>(LogEvent.options.map((option) => option.shape.type.value));
const Head = z.looseObject({ type: z.string(), schema: z.int() });

export type DecodedEvent =
  | { readonly type: 'event'; readonly event: LogEvent }
  /** A later writer's event type or version: readers pass it over. */
  | { readonly type: 'unknown' }
  /** Not an event at all; a reader reports it. */
  | { readonly type: 'malformed'; readonly problem: string };

/** Reads a record of the log as written by this or a later version. */
export function decodeEvent(text: string): DecodedEvent {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (error) {
    return { type: 'malformed', problem: String(error) };
  }
  const parsed = LogEvent.safeParse(json);
  if (parsed.success) return { type: 'event', event: parsed.data };
  const head = Head.safeParse(json);
  if (!head.success) return { type: 'malformed', problem: z.prettifyError(head.error) };
  return !KNOWN.has(head.data.type) || head.data.schema !== 1
    ? { type: 'unknown' }
    : { type: 'malformed', problem: z.prettifyError(parsed.error) };
}
