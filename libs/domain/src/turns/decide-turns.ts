import type {
  CallerPresence,
  History,
  JsonObject,
  Message,
  ProcessAddress,
  ToolPolicy,
  TurnError,
  Usage,
} from '#libs/protocol';
import type { Decision, Issued } from '../issued.js';
import { decided, envelope } from '../issued.js';
import type { OpenTurn, SessionState } from '../session-state.js';
import { messageBytes } from '../transcript/message-bytes.js';
import type { TranscriptUpdate } from '../transcript/transcript.js';
import { startedTurns } from './queue.js';

/** The claim of a turn: at its epoch the holder may state the turn's events. */
export interface TurnClaim {
  readonly turnId: string;
  readonly epoch: number;
}

/** How a turn comes to start: at once, after it has waited, or by ending all others that wait. */
export type TurnEntry = 'at-once' | 'queued' | 'interrupt';

/** What every request for a turn says, apart from its messages. */
interface Asked {
  readonly model: string;
  /** The body's other fields. */
  readonly options: JsonObject;
  readonly checkpointEvery: number;
  readonly toolPolicy: ToolPolicy;
  /** SHA-256 of the body, in hex; null where there was none. */
  readonly bodyHash: string | null;
  readonly idempotencyKey: string | null;
}

/** What a turn is to do, as its request said. */
export interface TurnRequest extends Asked {
  readonly update: TranscriptUpdate;
}

/** What a request asks of a turn: what its messages are is found out when the turn starts. */
export interface AskedTurn extends Asked {
  readonly messages: readonly Message[];
  readonly history: History;
  /** Bytes of the request. */
  readonly bytes: number;
}

/** What a turn that waits is to do. */
export interface WaitingRequest extends AskedTurn {
  /** Turns that had started and ended when it arrived. */
  readonly endedBefore: number;
}

/** An error that the model answered with, as its caller got it. */
export interface UpstreamAnswer {
  readonly status: number;
  /** Its content type. */
  readonly type: string;
  readonly body: string;
}

/** Who opens a session. */
export interface Opener {
  readonly principal: string;
  readonly agentId: string;
}

export interface TurnOutput {
  /** What the model said last. */
  readonly messages: readonly Message[];
  /** What came before that in rounds of the turn; null where it had none. */
  readonly before: EarlierRounds | null;
  /** Other choices of the model: they are kept, and no part of the conversation. */
  readonly alternatives: readonly Message[];
  /** Why the model ended, as it said it. */
  readonly finishReason: string | null;
  readonly modelUsed: string;
  readonly usage: Usage | null;
  readonly costUsd: number | null;
  /** From the call of the model, in ms; null if it said nothing. */
  readonly firstTokenMs: number | null;
  /** From the call of the model to the end of its answer, in ms. */
  readonly modelMs: number;
}

/** What the rounds of a turn have brought that its last answer stands behind. */
export interface EarlierRounds {
  /** How many messages of the conversation they are. */
  readonly messageCount: number;
  /** Bytes of those, as JSON. */
  readonly bytes: number;
  /** What the model said to the human in them, joined. */
  readonly said: string;
}

export type TurnCommand =
  | {
      readonly type: 'QueueTurn';
      readonly turnId: string;
      readonly holder: ProcessAddress;
      readonly background: boolean;
      readonly request: WaitingRequest;
    }
  | {
      readonly type: 'WithdrawTurn';
      readonly turnId: string;
      /** Null where its caller was told that nothing had begun. */
      readonly error: TurnError | null;
      readonly caller: CallerPresence;
    }
  | {
      readonly type: 'StartTurn';
      readonly claim: TurnClaim;
      readonly runner: ProcessAddress;
      readonly request: TurnRequest;
      /** Who opens the session, if it is not open yet. */
      readonly opener: Opener;
      readonly entry: TurnEntry;
    }
  | {
      readonly type: 'AdoptTurn';
      readonly claim: TurnClaim;
      readonly runner: ProcessAddress;
      /** Whether its last runner ended on purpose; else it died. */
      readonly handedOver: boolean;
    }
  | { readonly type: 'ParkTurn'; readonly claim: TurnClaim }
  | {
      readonly type: 'CompleteTurn';
      readonly claim: TurnClaim;
      readonly output: TurnOutput;
      readonly checkpointEvery: number;
      readonly caller: CallerPresence;
    }
  | {
      readonly type: 'FailTurn';
      readonly claim: TurnClaim;
      readonly error: TurnError;
      readonly caller: CallerPresence;
      readonly reachedModel: boolean;
      readonly upstreamStatus: number | null;
      /** What the model answered, where that is to be told again. */
      readonly answer: UpstreamAnswer | null;
    }
  | {
      readonly type: 'CancelTurn';
      readonly claim: TurnClaim;
      readonly error: TurnError;
      readonly caller: CallerPresence;
      readonly usage: Usage | null;
    }
  | { readonly type: 'ReportUndelivered'; readonly turnId: string };

/** Characters of a provider's error message that the log keeps. */
const LONGEST_MESSAGE = 4_000;

export function decideTurn(command: Issued & TurnCommand, state: SessionState): Decision {
  switch (command.type) {
    case 'QueueTurn':
      return queue(command);
    case 'WithdrawTurn': {
      const { turnId: turn_id, caller, error } = command;
      const data = { code: error?.code ?? null, caller };
      const content = { message: (error?.message ?? '').slice(0, LONGEST_MESSAGE) };
      return decided({ ...envelope(command), type: 'turn.withdrawn', turn_id, data, content });
    }
    case 'StartTurn':
      return start(command, state);
    case 'AdoptTurn': {
      const data = { runner: command.runner, handed_over: command.handedOver };
      return decided({ ...ofTurn(command), type: 'turn.adopted', data });
    }
    case 'ParkTurn':
      return decided({ ...ofTurn(command), type: 'turn.parked', data: {} });
    case 'CompleteTurn':
      return complete(command, state);
    case 'FailTurn': {
      const { caller, reachedModel, upstreamStatus, error, answer } = command;
      return decided({
        ...ofTurn(command),
        type: 'turn.failed',
        data: {
          code: error.code,
          caller,
          reached_model: reachedModel,
          upstream_status: upstreamStatus,
        },
        content: {
          message: error.message.slice(0, LONGEST_MESSAGE),
          ...(answer === null ? {} : { answer }),
        },
      });
    }
    case 'CancelTurn': {
      const { caller, error, usage } = command;
      const data = { code: error.code, caller, usage };
      const content = { message: error.message };
      return decided({ ...ofTurn(command), type: 'turn.cancelled', data, content });
    }
    case 'ReportUndelivered': {
      const { turnId: turn_id } = command;
      return decided({ ...envelope(command), type: 'turn.undelivered', turn_id, data: {} });
    }
  }
}

function queue(command: Issued & Extract<TurnCommand, { type: 'QueueTurn' }>): Decision {
  const { holder, background, request } = command;
  const { model, checkpointEvery, bodyHash, idempotencyKey, history, bytes } = request;
  return decided({
    ...envelope(command),
    type: 'turn.queued',
    turn_id: command.turnId,
    data: {
      holder,
      background,
      after: request.endedBefore,
      history,
      bytes,
      model,
      checkpoint_every: checkpointEvery,
      body_hash: bodyHash,
      idempotency_key: idempotencyKey,
    },
    content: {
      messages: [...request.messages],
      options: { ...request.options },
      ...policyOf(request),
    },
  });
}

function start(
  command: Issued & Extract<TurnCommand, { type: 'StartTurn' }>,
  state: SessionState,
): Decision {
  const { claim, request, runner } = command;
  const { update, model, options, checkpointEvery, bodyHash, idempotencyKey } = request;
  const { principal, agentId } = command.opener;
  const opening = {
    ...envelope(command),
    type: 'session.opened' as const,
    epoch: claim.epoch,
    data: { principal, agent_id: agentId },
  };
  const starting = {
    ...ofTurn(command),
    type: 'turn.started' as const,
    data: {
      runner,
      after: state.phase === 'open' ? startedTurns(state) : 0,
      keeps: update.keeps,
      kept_bytes: update.keptBytes,
      message_count: update.messages.length,
      bytes: messageBytes(update.messages) + messageBytes(update.system ?? []),
      replaces_system: update.system !== null,
      model,
      checkpoint_every: checkpointEvery,
      body_hash: bodyHash,
      idempotency_key: idempotencyKey,
      queued: command.entry === 'queued',
      interrupt: command.entry === 'interrupt',
    },
    content: {
      messages: [...update.messages],
      ...(update.system === null ? {} : { system: [...update.system] }),
      options: { ...options },
      ...policyOf(request),
    },
  };
  if (state.phase !== 'open') return decided(opening, starting);
  if (state.life.type !== 'suspended') return decided(starting);
  // Its writer read the session under its claim: whoever names it goes on with it.
  const resuming = { ...envelope(command), type: 'session.resumed' as const };
  return decided({ ...resuming, epoch: claim.epoch, data: {} }, starting);
}

/** As it is stored: absent where the request said nothing of it. */
function policyOf({ toolPolicy }: Asked): { tool_policy?: ToolPolicy } {
  const { on_surface_lost: onLost, approve } = toolPolicy;
  return onLost === 'fail' && approve.length === 0 ? {} : { tool_policy: toolPolicy };
}

function complete(
  command: Issued & Extract<TurnCommand, { type: 'CompleteTurn' }>,
  state: SessionState,
): Decision {
  const { output, checkpointEvery, caller } = command;
  const { before } = output;
  const steps = state.phase === 'open' ? state.steps + 1 : 1;
  return decided({
    ...ofTurn(command),
    type: 'turn.completed',
    data: {
      message_count: (before?.messageCount ?? 0) + output.messages.length,
      bytes: (before?.bytes ?? 0) + messageBytes(output.messages),
      model_used: output.modelUsed,
      usage: output.usage,
      cost_usd: output.costUsd,
      snapshot_id: steps % checkpointEvery === 0 ? command.newId() : null,
      caller,
      first_token_ms: output.firstTokenMs,
      model_ms: output.modelMs,
    },
    content: {
      messages: [...output.messages],
      ...((before?.said ?? '') === '' ? {} : { said: before?.said }),
      ...(output.alternatives.length === 0 ? {} : { alternatives: [...output.alternatives] }),
      ...(output.finishReason === null ? {} : { finish_reason: output.finishReason }),
    },
  });
}

function ofTurn(command: Issued & { readonly claim: TurnClaim }) {
  const { turnId: turn_id, epoch } = command.claim;
  return { ...envelope(command), turn_id, epoch };
}

/**
 * How often a turn is run again whose runner died; the adopter after that fails it, so that one
 * that kills its runner does not kill them all [A6].
 */
export const MAX_ADOPTIONS = 3;

/** Whether so many runners died of the turn, as it seems, that it must fail now. */
export function mustGiveUp(turn: OpenTurn): boolean {
  return turn.adoptions > MAX_ADOPTIONS;
}
