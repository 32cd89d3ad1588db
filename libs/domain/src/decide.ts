import type {
  CallerPresence,
  JsonObject,
  LogEvent,
  Message,
  ProcessAddress,
  SurfaceContext,
  TurnError,
  Usage,
} from '#libs/protocol';
import type { OpenTurn, SessionState } from './session-state.js';
import { TAKEOVER_LIMIT, TAKEOVER_WINDOW_MS } from './session-state.js';
import type { TranscriptUpdate } from './transcript/transcript.js';

/**
 * What every command brings along: whose session, when, and the ids of the events that it may
 * become.
 */
interface Issued {
  readonly sessionId: string;
  /** ISO 8601. */
  readonly at: string;
  /** Makes a new UUID. */
  readonly newId: () => string;
}

/** The attempt at a turn that its runner holds a claim for. */
interface Attempt {
  readonly turnId: string;
  readonly epoch: number;
}

export interface TurnRequest {
  readonly update: TranscriptUpdate;
  readonly model: string;
  /** The body's other fields. */
  readonly options: JsonObject;
  readonly checkpointEvery: number;
}

export interface TurnOutput {
  readonly messages: readonly Message[];
  readonly modelUsed: string;
  readonly usage: Usage | null;
  readonly costUsd: number | null;
}

export type Command = Issued &
  (
    | {
        readonly type: 'StartTurn';
        readonly attempt: Attempt;
        readonly runner: ProcessAddress;
        readonly request: TurnRequest;
        /** Who opens the session, if it is not open yet. */
        readonly opener: { readonly principal: string; readonly agentId: string };
      }
    | { readonly type: 'AdoptTurn'; readonly attempt: Attempt; readonly runner: ProcessAddress }
    | {
        readonly type: 'CompleteTurn';
        readonly attempt: Attempt;
        readonly output: TurnOutput;
        readonly checkpointEvery: number;
        readonly caller: CallerPresence;
      }
    | {
        readonly type: 'FailTurn' | 'CancelTurn';
        readonly attempt: Attempt;
        readonly error: TurnError;
        readonly caller: CallerPresence;
      }
    | { readonly type: 'ReportUndelivered'; readonly turnId: string }
    | {
        readonly type: 'AttachSurface';
        readonly attachId: string;
        readonly gateway: ProcessAddress;
        readonly context: SurfaceContext;
      }
    | {
        readonly type: 'DetachSurface';
        readonly attachId: string;
        readonly reason: Extract<LogEvent, { type: 'surface.detached' }>['data']['reason'];
      }
    | { readonly type: 'AcknowledgeTurns'; readonly attachId: string; readonly seq: number }
    | {
        readonly type: 'ExportSession';
        readonly exported: Extract<LogEvent, { type: 'session.exported' }>['data'];
      }
  );

export type Decision =
  | { readonly type: 'events'; readonly events: readonly [LogEvent, ...LogEvent[]] }
  | {
      readonly type: 'refused';
      /** `too-many-takeovers`: surfaces fight for the session; this one should return later. */
      readonly reason: 'too-many-takeovers';
    };

/**
 * Turns a command into the facts to append, in one atomic append. Pure: time and ids come with the
 * command.
 */
export function decide(command: Command, state: SessionState): Decision {
  const fact = () => ({
    id: command.newId(),
    schema: 1 as const,
    session_id: command.sessionId,
    occurred_at: command.at,
  });
  switch (command.type) {
    case 'StartTurn': {
      const { epoch, turnId } = command.attempt;
      const { update, model, options, checkpointEvery } = command.request;
      const { principal, agentId } = command.opener;
      const started: LogEvent = {
        ...fact(),
        type: 'turn.started',
        turn_id: turnId,
        epoch,
        data: {
          runner: command.runner,
          keeps: update.keeps,
          messages: [...update.messages],
          ...(update.system === null ? {} : { system: [...update.system] }),
          model,
          options: { ...options },
          checkpoint_every: checkpointEvery,
        },
      };
      if (state.phase === 'open') return events(started);
      return events(
        { ...fact(), type: 'session.opened', epoch, data: { principal, agent_id: agentId } },
        started,
      );
    }
    case 'AdoptTurn':
      return events({
        ...fact(),
        type: 'turn.adopted',
        ...attemptFields(command.attempt),
        data: { runner: command.runner },
      });
    case 'CompleteTurn': {
      const { messages, modelUsed, usage, costUsd } = command.output;
      const steps = state.phase === 'open' ? state.steps + 1 : 1;
      return events({
        ...fact(),
        type: 'turn.completed',
        ...attemptFields(command.attempt),
        data: {
          messages: [...messages],
          model_used: modelUsed,
          usage,
          cost_usd: costUsd,
          snapshot_id: steps % command.checkpointEvery === 0 ? command.newId() : null,
          caller: command.caller,
        },
      });
    }
    case 'FailTurn':
    case 'CancelTurn':
      return events({
        ...fact(),
        type: command.type === 'FailTurn' ? 'turn.failed' : 'turn.cancelled',
        ...attemptFields(command.attempt),
        data: { error: command.error, caller: command.caller },
      });
    case 'ReportUndelivered':
      return events({ ...fact(), type: 'turn.undelivered', turn_id: command.turnId, data: {} });
    case 'AttachSurface': {
      if (tooManyTakeovers(state, command.at))
        return { type: 'refused', reason: 'too-many-takeovers' };
      const { attachId: attach_id, gateway, context } = command;
      return events({ ...fact(), type: 'surface.attached', data: { attach_id, gateway, context } });
    }
    case 'DetachSurface':
      return events({
        ...fact(),
        type: 'surface.detached',
        data: { attach_id: command.attachId, reason: command.reason },
      });
    case 'AcknowledgeTurns':
      return events({
        ...fact(),
        type: 'surface.acknowledged',
        data: { attach_id: command.attachId, seq: command.seq },
      });
    case 'ExportSession':
      return events({ ...fact(), type: 'session.exported', data: command.exported });
  }
}

function events(...facts: [LogEvent, ...LogEvent[]]): Extract<Decision, { type: 'events' }> {
  return { type: 'events', events: facts };
}

function attemptFields({ turnId, epoch }: Attempt): {
  readonly turn_id: string;
  readonly epoch: number;
} {
  return { turn_id: turnId, epoch };
}

/** Clients that return at once after being replaced would fight for ever. */
function tooManyTakeovers(state: SessionState, at: string): boolean {
  if (state.phase !== 'open' || state.takeovers.length < TAKEOVER_LIMIT) return false;
  const [oldest] = state.takeovers;
  return oldest !== undefined && Date.parse(at) - Date.parse(oldest) < TAKEOVER_WINDOW_MS;
}

/**
 * How often a turn is run again; the adopter after that fails it: one that kills its runner must
 * not kill them all [A6].
 */
export const MAX_ADOPTIONS = 3;

/** Whether the turn was taken over so often that it must fail now. */
export function mustGiveUp(turn: OpenTurn): boolean {
  return turn.adoptions > MAX_ADOPTIONS;
}
