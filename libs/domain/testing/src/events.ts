import type {
  Actor,
  CallerPresence,
  LogEvent,
  LogEventOf,
  Message,
  ProcessAddress,
  SurfaceContext,
} from '#libs/protocol';
import type { LifeChange, TurnEntry } from '../../src/index.js';
import { messageBytes } from '../../src/index.js';

/** Builders of events for tests: what a test does not care about has a plain value. */

/** A UUID that is the same for the same number. */
export function id(number: number): string {
  return `00000000-0000-4000-8000-${number.toString(16).padStart(12, '0')}`;
}

/** The instant `ms` after the tests' beginning of time. */
export function instant(ms: number): string {
  return new Date(Date.UTC(2026, 4, 10, 15, 5) + ms).toISOString();
}

export function processAt(slot: number): ProcessAddress {
  return { slot, incarnation: id(0xbee0000 + slot) };
}

export const SESSION = id(0x5e5510);
export const TURN = id(0x70001);
export const OTHER_TURN = id(0x70002);
export const RUNNER = processAt(1);
export const GATEWAY = processAt(2);
export const ATTACH = id(0xa0001);
export const OTHER_ATTACH = id(0xa0002);
export const FAILURE = { code: 'SBP_UPSTREAM_UNAVAILABLE', message: 'The model did not answer.' };

export const ACTOR: Actor = { principal: 'anonymous', via: 'http' };

let made = 0;

export interface Told {
  readonly at?: string;
  readonly session?: string;
}

export function envelope({ at = instant(0), session = SESSION }: Told) {
  made += 1;
  return {
    id: id(0xfac0000000 + made),
    schema: 1 as const,
    session_id: session,
    occurred_at: at,
    by: ACTOR,
  };
}

export function user(text: string): Message {
  return { role: 'user', content: text };
}

export function assistant(text: string): Message {
  return { role: 'assistant', content: text };
}

export function sessionOpened(epoch: number, told: Told = {}): LogEventOf<'session.opened'> {
  return {
    ...envelope(told),
    type: 'session.opened',
    epoch,
    data: { principal: 'anonymous', agent_id: 'agent' },
  };
}

const LIVED = {
  running: 'session.resumed',
  suspended: 'session.suspended',
  completed: 'session.completed',
  failed: 'session.failed',
} as const;

/** How a session goes on. */
export function sessionLived(to: LifeChange, epoch: number, told: Told = {}): LogEvent {
  return { ...envelope(told), type: LIVED[to], epoch, data: {} };
}

export function tokensRevoked(
  generation: number,
  told: Told = {},
): LogEventOf<'session.tokens_revoked'> {
  return { ...envelope(told), type: 'session.tokens_revoked', data: { generation } };
}

/** What was copied before a session is opened with `restored`. */
export function sessionRestored(
  part: number,
  epoch: number,
  details: Told & { readonly messages: readonly Message[]; readonly first: number },
): LogEventOf<'session.restored'> {
  const { messages, first } = details;
  return {
    ...envelope(details),
    type: 'session.restored',
    epoch,
    data: {
      ...{ part, first_index: first, message_count: messages.length },
      ...{ step_count: 2, cost_usd: 0.5, has_system: true },
    },
    content: {
      messages: [...messages],
      about: messages.map(() => ({ model_used: 'm', cost_usd: 0.1, created_at: instant(0) })),
      ...(part === 1 ? { system: [{ role: 'system' as const, content: 'As before.' }] } : {}),
    },
  };
}

/** Of an import of so many messages in these parts. */
export function importOpened(
  epoch: number,
  details: Told & { readonly parts: number; readonly messages: number; readonly note?: string },
): LogEventOf<'session.opened'> {
  const { parts, messages, note } = details;
  return {
    ...envelope(details),
    type: 'session.opened',
    epoch,
    data: {
      ...{ principal: 'anonymous', agent_id: 'agent' },
      origin: {
        ...{ type: 'import', session_id: id(0x50), export_id: id(0x51), server: null },
        ...{ agent_id: 'agent', body_hash: null, message_count: messages },
      },
      restored: {
        ...{ parts, message_count: messages, bytes: 10 * messages, step_count: 2, cost_usd: 0.5 },
        has_system: true,
      },
      ...(note === undefined
        ? {}
        : { note_bytes: messageBytes([{ role: 'system', content: note }]) }),
    },
    content: { label: 'copied', ...(note === undefined ? {} : { note }) },
  };
}

export function sessionHandedOff(
  epoch: number,
  details: Told & { readonly successor: string },
): LogEventOf<'session.handed_off'> {
  const { successor, session = SESSION } = details;
  return {
    ...envelope(details),
    type: 'session.handed_off',
    epoch,
    data: {
      ...{ successor, opened_epoch: epoch, agent_id: 'other', body_hash: null },
      ...{ export_id: id(0x52), maker: processAt(4) },
      base: {
        ...{ session_id: session, turn_number: 0, message_count: 0, bytes: 0, step_count: 0 },
        ...{ cost_usd: 0, system: null, notes: [], depth: 1 },
      },
    },
    content: { message: 'Take over.', reason: null },
  };
}

export function exportConsumed(
  exportId: string,
  details: Told & { readonly successor: string },
): LogEventOf<'export.consumed'> {
  const { successor } = details;
  return {
    ...envelope(details),
    type: 'export.consumed',
    data: {
      ...{ export_id: exportId, import_id: successor, successor, opened_epoch: 1 },
      ...{ agent_id: 'agent', principal: 'anonymous', body_hash: null, server: null },
      maker: processAt(4),
    },
  };
}

export function exportRevoked(exportId: string, told: Told = {}): LogEventOf<'export.revoked'> {
  return { ...envelope(told), type: 'export.revoked', data: { export_id: exportId } };
}

export function turnQueued(
  details: Told & { readonly turn?: string; readonly holder?: ProcessAddress } = {},
): LogEventOf<'turn.queued'> {
  const { turn = TURN, holder = RUNNER } = details;
  const messages = [user('And then?')];
  return {
    ...envelope(details),
    type: 'turn.queued',
    turn_id: turn,
    data: {
      holder,
      background: false,
      after: 0,
      history: 'auto',
      bytes: messageBytes(messages),
      model: 'demo',
      checkpoint_every: 1,
      body_hash: null,
      idempotency_key: null,
    },
    content: { messages, options: { stream: true } },
  };
}

export function turnWithdrawn(
  details: Told & {
    readonly turn?: string;
    readonly code?: string | null;
    readonly caller?: CallerPresence;
  } = {},
): LogEventOf<'turn.withdrawn'> {
  const { turn = TURN, code = 'SBP_TURN_CANCELLED', caller = 'connected' } = details;
  return {
    ...envelope(details),
    type: 'turn.withdrawn',
    turn_id: turn,
    data: { code, caller },
    content: { message: 'It was withdrawn.' },
  };
}

export interface StartedDetails extends Told {
  readonly turn?: string;
  readonly runner?: ProcessAddress;
  /** How many turns had started, as far as its writer saw. */
  readonly after?: number;
  readonly keeps?: number;
  readonly keptBytes?: number;
  readonly messages?: readonly Message[];
  readonly system?: readonly Message[];
  readonly model?: string;
  readonly entry?: TurnEntry;
}

export function turnStarted(
  epoch: number,
  details: StartedDetails = {},
): LogEventOf<'turn.started'> {
  const { turn = TURN, runner = RUNNER, after = 0, keeps = 0, keptBytes = 0 } = details;
  const { messages = [user('Hello')], system, model = 'demo', entry = 'at-once' } = details;
  return {
    ...envelope(details),
    type: 'turn.started',
    turn_id: turn,
    epoch,
    data: {
      runner,
      after,
      keeps,
      kept_bytes: keptBytes,
      message_count: messages.length,
      bytes: messageBytes(messages) + messageBytes(system ?? []),
      replaces_system: system !== undefined,
      model,
      checkpoint_every: 1,
      body_hash: null,
      idempotency_key: null,
      queued: entry === 'queued',
      interrupt: entry === 'interrupt',
    },
    content: {
      messages: [...messages],
      ...(system === undefined ? {} : { system: [...system] }),
      options: { stream: true },
    },
  };
}

export function turnAdopted(
  epoch: number,
  details: Told & {
    readonly turn?: string;
    readonly runner?: ProcessAddress;
    readonly handedOver?: boolean;
  } = {},
): LogEventOf<'turn.adopted'> {
  const { turn = TURN, runner = processAt(9), handedOver = false } = details;
  const data = { runner, handed_over: handedOver };
  return { ...envelope(details), type: 'turn.adopted', turn_id: turn, epoch, data };
}

export function turnParked(
  epoch: number,
  details: Told & { readonly turn?: string } = {},
): LogEventOf<'turn.parked'> {
  const { turn = TURN } = details;
  return { ...envelope(details), type: 'turn.parked', turn_id: turn, epoch, data: {} };
}

export interface EndedDetails extends Told {
  readonly turn?: string;
  readonly caller?: CallerPresence;
  readonly messages?: readonly Message[];
  readonly snapshot?: string | null;
  readonly model?: string;
  /** Messages of the turn's rounds. */
  readonly added?: number;
}

export function turnCompleted(
  epoch: number,
  details: EndedDetails = {},
): LogEventOf<'turn.completed'> {
  const {
    turn = TURN,
    caller = 'connected',
    messages = [assistant('Hi.')],
    snapshot = null,
    model = 'demo-1',
    added = 0,
  } = details;
  return {
    ...envelope(details),
    type: 'turn.completed',
    turn_id: turn,
    epoch,
    data: {
      message_count: added + messages.length,
      bytes: messageBytes(messages),
      model_used: model,
      usage: { prompt_tokens: 3, completion_tokens: 2 },
      cost_usd: 0.25,
      snapshot_id: snapshot,
      caller,
      first_token_ms: 1,
      model_ms: 2,
    },
    content: { messages: [...messages] },
  };
}

export interface FailedDetails extends EndedDetails {
  readonly reachedModel?: boolean;
  readonly upstreamStatus?: number | null;
}

export function turnFailed(epoch: number, details: FailedDetails = {}): LogEventOf<'turn.failed'> {
  const { turn = TURN, caller = 'connected' } = details;
  const { reachedModel = true, upstreamStatus = null } = details;
  return {
    ...envelope(details),
    type: 'turn.failed',
    turn_id: turn,
    epoch,
    data: {
      code: FAILURE.code,
      caller,
      reached_model: reachedModel,
      upstream_status: upstreamStatus,
    },
    content: { message: FAILURE.message },
  };
}

export function turnCancelled(
  epoch: number,
  details: EndedDetails = {},
): LogEventOf<'turn.cancelled'> {
  const { turn = TURN, caller = 'connected' } = details;
  return {
    ...envelope(details),
    type: 'turn.cancelled',
    turn_id: turn,
    epoch,
    data: { code: FAILURE.code, caller, usage: null },
    content: { message: FAILURE.message },
  };
}

export function turnUndelivered(
  turn: string = TURN,
  told: Told = {},
): LogEventOf<'turn.undelivered'> {
  return { ...envelope(told), type: 'turn.undelivered', turn_id: turn, data: {} };
}

export function surfaceAttached(
  attachId: string = ATTACH,
  details: Told & { readonly gateway?: ProcessAddress; readonly context?: SurfaceContext } = {},
): LogEventOf<'surface.attached'> {
  const { gateway = GATEWAY, context = {} } = details;
  return {
    ...envelope(details),
    type: 'surface.attached',
    data: { attach_id: attachId, gateway, context },
  };
}

export function surfaceDetached(
  attachId: string = ATTACH,
  told: Told = {},
): LogEventOf<'surface.detached'> {
  return {
    ...envelope(told),
    type: 'surface.detached',
    data: { attach_id: attachId, reason: 'detach' },
  };
}

export function surfaceAcknowledged(
  seq: number,
  attachId: string = ATTACH,
  told: Told = {},
): LogEventOf<'surface.acknowledged'> {
  return { ...envelope(told), type: 'surface.acknowledged', data: { attach_id: attachId, seq } };
}

export function sessionExported(
  exportId: string,
  details: Told & { readonly label?: string | null } = {},
): LogEventOf<'session.exported'> {
  return {
    ...envelope(details),
    type: 'session.exported',
    data: {
      export_id: exportId,
      exported_at: instant(0),
      expires_at: instant(86_400_000),
      turn_number: 1,
      message_count: 2,
      bundle_cid: 'c'.repeat(64),
    },
    content: { label: details.label ?? null },
  };
}
