import type { FoldedEvent, FoldedEventOf, ToolOutcome } from '#libs/protocol';
import type { Change, Evolution } from '../changes.js';
import type { OpenCall, OpenSession, OpenTurn } from '../session-state.js';
import { MAX_CLIENT_CALLS, remember } from '../session-state.js';
import { isOf } from './waiting-calls.js';
import { holderOf, isCurrent } from '../surfaces/holder.js';
import { isOfAttempt } from '../turns/attempt.js';

/*
 * Calls of tools of the surface [A18]: each is open from the fold of the round that made it to its
 * first outcome. Whoever waits for it reads the outcome from the fold, so all read the same.
 *
 * | place    | is left when                                                                |
 * | -------- | --------------------------------------------------------------------------- |
 * | approval | a human decides: for surface or device, or `denied`                         |
 * | device   | a surface attaches that has the tool: for surface                           |
 * | surface  | the surface answers; or goes: for device if the call may wait, `cancelled`  |
 *
 * In each the call can time out, and ends with its turn.
 */

/** Null unless it is of the attempt that is open, and of its next round. */
export function called(
  session: OpenSession,
  event: FoldedEventOf<'tools.called'>,
): Evolution<OpenSession> | null {
  const { turn } = session;
  const { data, occurred_at: at } = event;
  const { round, wait_ms: waitMs } = data;
  if (!isOfAttempt(session, event) || turn === null || round !== turn.rounds + 1) return null;
  const { turnId, number } = turn;
  const mayWait = data.on_surface_lost === 'wait';
  const made = data.calls.flatMap(({ call_id: callId, tool }): readonly OpenCall[] => {
    if (tool === null) return [];
    const { name: toolName, timeout_ms: timeoutMs, needs_approval: needsApproval } = tool;
    const place = { type: needsApproval ? 'approval' : 'device' } as const;
    const by = { type: 'turn', turnId } as const;
    const call = { callId, by, toolName, place, timeoutMs, waitMs: mayWait ? waitMs : null };
    return [{ ...call, deadline: later(at, waitMs) }];
  });
  const begun = { ...turn, rounds: round, resultBytes: data.result_bytes };
  const opened: OpenSession = { ...session, turn: begun, calls: [...session.calls, ...made] };
  const change: Change = { type: 'tools-called', turnId, number, data, snapshotId: event.id, at };
  const seated = made.length === 0 ? roundOver(opened, begun, event) : seat(opened, event);
  return { ...seated, changes: [change, ...seated.changes] };
}

/** Null where its surface has gone, it is known, or too many are open. */
export function calledByClient(
  session: OpenSession,
  event: FoldedEventOf<'tool.called'>,
): Evolution<OpenSession> | null {
  const { call_id: callId, attach_id: attachId, tool_name: toolName, caller } = event.data;
  const { timeout_ms: timeoutMs } = event.data;
  const { occurred_at: at } = event;
  if (!isCurrent(session, attachId) || session.clientCalls.includes(callId)) return null;
  const open = session.calls.filter(({ by }) => by.type === 'client');
  // Whoever waited for these has died.
  const over = open.filter(({ deadline }) => Date.parse(deadline) < Date.parse(at));
  if (open.length - over.length >= MAX_CLIENT_CALLS) return null;
  const cleared = settle(session, over, 'timeout', event);
  const call: OpenCall = {
    ...{ callId, toolName, timeoutMs, waitMs: null, by: { type: 'client', caller } },
    ...{ place: { type: 'surface', attachId }, deadline: later(at, timeoutMs) },
  };
  const { state } = cleared;
  return {
    state: {
      ...state,
      calls: [...state.calls, call],
      called: state.called + 1,
      clientCalls: remember(state.clientCalls, callId, 2 * MAX_CLIENT_CALLS),
    },
    changes: [...cleared.changes, { type: 'tool-called', callId, toolName }],
    poke: [...cleared.poke, ...holderOf(session)],
  };
}

/** Null where the call has its outcome, never was, or was not sent yet. */
export function returned(
  session: OpenSession,
  event: FoldedEventOf<'tool.returned'>,
): Evolution<OpenSession> | null {
  const { call_id: callId, outcome } = event.data;
  const call = session.calls.find((open) => open.callId === callId);
  if (call === undefined) return null;
  if (call.place.type === 'approval' && outcome !== 'timeout') return null;
  const { turn } = session;
  if (turn === null || !isOf(call, turn.turnId)) return settle(session, [call], outcome, event);
  const left = turn.resultBytes - event.data.bytes;
  if (left >= 0) {
    const counted = { ...session, turn: { ...turn, resultBytes: left } };
    return settle(counted, [call], outcome, event);
  }
  const settled = settle(session, [call], 'error', event);
  const changes = settled.changes.map((change) =>
    change.type === 'call-returned' ? { ...change, isTooLarge: true } : change,
  );
  return { ...settled, changes };
}

/** Null where the call waits for no decision. */
export function decidedCall(
  session: OpenSession,
  event: FoldedEventOf<'tool.decided'>,
): Evolution<OpenSession> | null {
  const { call_id: callId, approved } = event.data;
  const call = session.calls.find((open) => open.callId === callId);
  if (call?.place.type !== 'approval') return null;
  const change: Change = { type: 'call-decided', callId, decisionId: event.id };
  const allowed = replaced(session, [forDevice(call, event.occurred_at)]);
  const next = approved
    ? tellingRunner(session, seat(allowed, event))
    : settle(session, [call], 'denied', event);
  return { ...next, changes: [change, ...next.changes] };
}

/** The attachment has ended: its calls wait for another, or are over. */
export function lostSurface(
  session: OpenSession,
  attachId: string,
  event: FoldedEvent,
): Evolution<OpenSession> {
  const lost = session.calls.filter(({ place }) => {
    return place.type === 'surface' && place.attachId === attachId;
  });
  if (lost.length === 0) return { state: session, changes: [], poke: [] };
  const { wait = [], fail = [] } = Object.groupBy(lost, ({ waitMs }) => {
    return waitMs === null ? 'fail' : 'wait';
  });
  const moved = wait.map((call) => forDevice(call, event.occurred_at));
  return tellingRunner(session, settle(replaced(session, moved), fail, 'cancelled', event));
}

/** A surface has attached: calls that wait for a device go to it, where it has their tools. */
export function seatWaiting(session: OpenSession, event: FoldedEvent): Evolution<OpenSession> {
  const waits = session.calls.some(({ place }) => place.type === 'device');
  if (!waits) return { state: session, changes: [], poke: [] };
  return tellingRunner(session, seat(session, event));
}

/** Nobody waits for the calls of a turn that has ended. */
export function withoutCallsOf(
  session: OpenSession,
  turnId: string,
  at: string,
): Pick<Evolution<OpenSession>, 'state' | 'changes'> {
  const left = session.calls.filter((call) => isOf(call, turnId));
  if (left.length === 0) return { state: session, changes: [] };
  return {
    state: { ...session, calls: session.calls.filter((call) => !left.includes(call)) },
    changes: left.map(({ callId }) => returnedChange(callId, 'cancelled', at)),
  };
}

/**
 * Gives the calls that are for a device to the attached surface, if it has their tools; those that
 * may not wait for one are over.
 */
function seat(session: OpenSession, event: FoldedEvent): Evolution<OpenSession> {
  const attachment = session.surface.type === 'attached' ? session.surface.attachment : null;
  const tools = new Set(attachment?.context.mcp_tools);
  const { attachId = '' } = attachment ?? {};
  const given = session.calls
    .filter(({ place, toolName }) => place.type === 'device' && tools.has(toolName))
    .map((call): OpenCall => {
      const deadline = later(event.occurred_at, call.timeoutMs);
      return { ...call, place: { type: 'surface', attachId }, deadline };
    });
  const seated = replaced(session, given);
  const stranded = seated.calls.filter(({ place, waitMs }) => {
    return place.type === 'device' && waitMs === null;
  });
  const counted = { ...seated, called: session.called + given.length };
  const settled = settle(counted, stranded, 'cancelled', event);
  const poke = given.length === 0 ? [] : holderOf(session);
  return { ...settled, poke: [...settled.poke, ...poke] };
}

/**
 * Calls have their outcome. Where they were the last of the turn's round, its runner goes on, and
 * so does whoever waits for one of them.
 */
function settle(
  session: OpenSession,
  settled: readonly OpenCall[],
  outcome: ToolOutcome,
  event: FoldedEvent,
): Evolution<OpenSession> {
  const calls = session.calls.filter((call) => !settled.includes(call));
  const changes = settled.map(({ callId }) => returnedChange(callId, outcome, event.occurred_at));
  const state = { ...session, calls };
  const { turn } = session;
  const callers = settled.flatMap(({ by }) => (by.type === 'client' ? [by.caller] : []));
  const isOfTurn = (call: OpenCall) => turn !== null && isOf(call, turn.turnId);
  if (turn === null || !settled.some(isOfTurn) || calls.some(isOfTurn)) {
    return { state, changes, poke: callers };
  }
  const over = roundOver(state, turn, event);
  return { ...over, changes: [...changes, ...over.changes], poke: [...over.poke, ...callers] };
}

/** The turn has made progress, so its adoptions so far say nothing against it. */
function roundOver(
  session: OpenSession,
  turn: OpenTurn,
  { id: snapshotId, occurred_at: at }: FoldedEvent,
): Evolution<OpenSession> {
  const { turnId, number, rounds: round } = turn;
  return {
    state: { ...session, turn: { ...turn, adoptions: 0 } },
    changes: [{ type: 'round-returned', turnId, number, round, snapshotId, at }],
    poke: [turn.runner],
  };
}

/** Where calls wait that did not, or the other way round, the turn is to be parked, or to go on. */
function tellingRunner(
  { turn }: OpenSession,
  evolution: Evolution<OpenSession>,
): Evolution<OpenSession> {
  return turn === null ? evolution : { ...evolution, poke: [...evolution.poke, turn.runner] };
}

function forDevice(call: OpenCall, at: string): OpenCall {
  return { ...call, place: { type: 'device' }, deadline: later(at, call.waitMs ?? 0) };
}

function replaced(session: OpenSession, calls: readonly OpenCall[]): OpenSession {
  const byId = new Map(calls.map((call) => [call.callId, call]));
  return { ...session, calls: session.calls.map((call) => byId.get(call.callId) ?? call) };
}

function returnedChange(callId: string, outcome: ToolOutcome, at: string): Change {
  return { type: 'call-returned', callId, outcome, isTooLarge: false, at };
}

function later(at: string, ms: number): string {
  return new Date(Date.parse(at) + ms).toISOString();
}
