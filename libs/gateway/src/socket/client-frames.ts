import type { ClientFrame, SurfaceContext } from '#libs/protocol';
import {
  AttachSession,
  CLIENT_FRAME_TYPES,
  ClientFrame as ClientFrameSchema,
  LIMITS,
  takenContext,
} from '#libs/protocol';
import { z } from 'zod';

/** A WebSocket message as it came. */
export interface IncomingFrame {
  /** Null for a binary one. */
  readonly text: string | null;
  readonly bytes: number;
}

export type FirstFrame =
  | {
      readonly type: 'attach';
      /** Null where the frame has no string there: it opens no session. */
      readonly token: string | null;
      readonly context: SurfaceContext;
    }
  | { readonly type: 'too-big' }
  | { readonly type: 'protocol-error'; readonly detail: string };

export type LaterFrame =
  | { readonly type: 'frame'; readonly frame: ClientFrame }
  /** A type that this server does not know, or has no use for. */
  | { readonly type: 'unknown' }
  /** An attach that is larger than any may be. */
  | { readonly type: 'too-big' }
  /** A known type with bad fields: ignored and counted. */
  | { readonly type: 'bad-fields' }
  | { readonly type: 'protocol-error'; readonly detail: string };

/**
 * Judges a connection's first frame, in the contract's order: an object, its type, its session, its
 * context.
 */
export function readFirstFrame(incoming: IncomingFrame, sessionId: string): FirstFrame {
  if (incoming.bytes > LIMITS.attachFrame) return { type: 'too-big' };
  const object = readObject(incoming);
  if (object.type === 'protocol-error') return object;
  const { type, session_id, session_token, surface_context } = object.fields;
  if (type !== 'ATTACH_SESSION') {
    return protocolError(`Expected ATTACH_SESSION as first frame, got ${named(type)}`);
  }
  if (session_id !== sessionId) return protocolError('session_id must equal the one in the path');
  const context = AttachSession.shape.surface_context.safeParse(surface_context);
  if (!context.success) return protocolError(`surface_context: ${z.prettifyError(context.error)}`);
  const token = typeof session_token === 'string' ? session_token : null;
  return { type: 'attach', token, context: takenContext(context.data) };
}

/** Judges a frame that comes after the first. */
export function readLaterFrame(incoming: IncomingFrame): LaterFrame {
  const object = readObject(incoming);
  if (object.type === 'protocol-error') return object;
  const { type } = object.fields;
  const isAttach = type === 'ATTACH_SESSION';
  if (isAttach && incoming.bytes > LIMITS.attachFrame) return { type: 'too-big' };
  const frame = ClientFrameSchema.safeParse(object.fields);
  if (frame.success) return { type: 'frame', frame: frame.data };
  const known = typeof type === 'string' && CLIENT_FRAME_TYPES.includes(type);
  return { type: known ? 'bad-fields' : 'unknown' };
}

type Fields = Readonly<
  Partial<Record<'type' | 'session_id' | 'session_token' | 'surface_context', unknown>>
>;

function readObject({
  text,
}: IncomingFrame):
  { readonly type: 'object'; readonly fields: Fields } | ReturnType<typeof protocolError> {
  if (text === null) return protocolError('Frames are text; this one is binary');
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return protocolError('The frame is not JSON');
  }
  if (value === null || typeof value !== 'object' || Array.isArray(value)) {
    return protocolError('A frame is a JSON object');
  }
  return { type: 'object', fields: value };
}

function protocolError(detail: string): {
  readonly type: 'protocol-error';
  readonly detail: string;
} {
  return { type: 'protocol-error', detail };
}

/** A client's `type`, short enough to be told back. */
function named(type: unknown): string {
  return typeof type === 'string' ? `'${type.slice(0, 64)}'` : 'a frame without a type';
}
