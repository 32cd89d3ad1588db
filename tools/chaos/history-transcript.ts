import { isToldBusy, isToldCancelled, mayBeCancelled } from './cancelled-calls.js';
import type { Call, ConversationHistory, FoundMessage, Rule, Violation } from './history.js';

/** A turn as the session's messages show it in the end. */
export interface FoundTurn {
  readonly turnId: string;
  /** Null where its user message is of no call that was made. */
  readonly call: Call | null;
  /** Null if the turn did not complete. */
  readonly text: string | null;
  /** When it completed; 0 if it did not. */
  readonly completedAt: number;
}

/** The turns of a transcript in its order, each once. */
export function foundTurns({ found, calls }: ConversationHistory): readonly FoundTurn[] {
  const byTurn = Map.groupBy(found.messages, ({ turnId }) => turnId);
  return [...byTurn].map(([turnId, messages]) => {
    const asked = messages.find(({ role }) => role === 'user')?.text ?? '';
    const answers = messages.filter(({ role }) => role === 'assistant');
    return {
      turnId,
      call: calls.find(({ marker }) => isMarkedBy(asked, marker)) ?? null,
      // What was said before calls of tools belongs to it.
      text: answers.length === 0 ? null : answers.map(({ text }) => text).join(''),
      completedAt: answers.at(-1)?.createdAt ?? 0,
    };
  });
}

/** A user message's first line is its call's marker. */
function isMarkedBy(text: string, marker: string): boolean {
  return text === marker || text.startsWith(`${marker}\n`);
}

/** What callers were told against what the session's messages are in the end. */
export function checkTranscript(conversation: ConversationHistory): readonly Violation[] {
  const violations: Violation[] = [];
  const report = (rule: Rule, detail: string): void => {
    violations.push({ rule, conversation: conversation.name, detail });
  };
  const turns = foundTurns(conversation);
  checkShape(conversation.found.messages, report);
  for (const turn of turns) {
    if (turn.call === null) report('unexpected', `turn ${turn.turnId} was asked for by nobody`);
  }
  for (const call of conversation.calls) checkCall(conversation, call, turns, report);
  checkOrder(turns, report);
  checkReads(conversation, report);
  checkStreams(conversation, turns, report);
  const completed = turns.filter(({ text }) => text !== null).length;
  if (conversation.found.stepCount !== completed) {
    report('count', `step_count is ${conversation.found.stepCount}, ${completed} turns completed`);
  }
  if (conversation.found.turnInFlight !== null)
    report('unended', `turn ${conversation.found.turnInFlight} is open`);
  return violations;
}

type Report = (rule: Rule, detail: string) => void;

/** A turn is a user message and at most one answer behind each result of tools, side by side. */
function checkShape(messages: readonly FoundMessage[], report: Report): void {
  const seen = new Set<string>();
  let current = '';
  for (const { turnId, role } of messages) {
    if (turnId !== current && seen.has(turnId))
      report('reordered', `messages of turn ${turnId} are not side by side`);
    if (turnId === current && role === 'user')
      report('doubled', `turn ${turnId} has two user messages`);
    current = turnId;
    seen.add(turnId);
  }
  for (const [turnId, ofTurn] of Map.groupBy(messages, (message) => message.turnId)) {
    const roles = ofTurn
      .map(({ role }) => role)
      .filter((role, at, all) => {
        return role !== 'tool' || all[at - 1] !== 'tool';
      });
    const isDoubled = roles.some((role, at) => role === 'assistant' && role === roles[at - 1]);
    if (isDoubled) report('doubled', `turn ${turnId} has two answers`);
    if (roles.at(-1) === 'tool') report('lost', `turn ${turnId} ends with what a tool returned`);
  }
}

function checkCall(
  conversation: ConversationHistory,
  call: Call,
  turns: readonly FoundTurn[],
  report: Report,
): void {
  const { marker, outcome } = call;
  const { sessionId } = conversation;
  const own = turns.filter(({ call }) => call?.marker === marker);
  const [turn] = own;
  if (own.length > 1)
    report(
      'doubled',
      `${marker} ran ${own.length} times: ${own.map((each) => each.turnId).join(', ')}`,
    );
  switch (outcome.type) {
    case 'answered':
      if (outcome.sessionId !== sessionId) {
        report(
          'conflict',
          `${marker} was answered in session ${outcome.sessionId}, others in ${sessionId}`,
        );
      } else if (turn?.turnId !== outcome.turnId) {
        report(
          'lost',
          `${marker}: turn ${outcome.turnId} was answered, the session has ${turn?.turnId ?? 'none'}`,
        );
      } else {
        checkText(marker, outcome.text, turn, report);
        const step = turns.filter(({ text }) => text !== null).indexOf(turn) + 1;
        if (step !== outcome.stepCount)
          report('count', `${marker} is step ${step}, and was told ${outcome.stepCount}`);
      }
      return;
    case 'finished':
      if (turn === undefined)
        report('lost', `${marker}: its text was sent to the end, and is not there`);
      else checkText(marker, outcome.text, turn, report);
      return;
    case 'accepted':
      checkAccepted(conversation, call, outcome.turnId, turn, report);
      return;
    case 'unreached':
      if (turn !== undefined)
        report('unexpected', `${marker} was never sent, and ran as turn ${turn.turnId}`);
      return;
    case 'refused':
      if (isToldBusy(call)) {
        if (turn !== undefined) report('misled', `${marker} was told 409, and ran all the same`);
      } else if (outcome.status !== 503 && !isToldCancelled(call)) {
        report('unexpected', `${marker} was answered ${outcome.status} ${outcome.code ?? ''}`);
      }
      return;
    case 'forgotten':
      report('unended', `${marker} was neither answered nor broken off`);
      return;
    case 'broken':
    case 'vanished':
  }
}

/** What was taken ends by itself, and completes unless somebody stopped it. */
function checkAccepted(
  conversation: ConversationHistory,
  call: Call,
  turnId: string,
  turn: FoundTurn | undefined,
  report: Report,
): void {
  const { marker } = call;
  const status = conversation.found.turns.find((each) => each.turnId === turnId)?.status;
  switch (status) {
    case undefined:
      report('lost', `${marker}: turn ${turnId} was accepted, and is not in the session`);
      return;
    case 'completed':
      if (turn?.turnId !== turnId || turn.text === null)
        report('lost', `${marker}: turn ${turnId} completed, and its answer is not there`);
      return;
    case 'cancelled':
      if (turn !== undefined && turn.text !== null)
        report('uncancelled', `${marker}: turn ${turnId} is cancelled, and has an answer`);
      if (!mayBeCancelled(call, conversation))
        report('unexpected', `${marker} was cancelled, and nobody had asked for that`);
      return;
    case 'failed':
      return;
    default:
      report('unended', `${marker}: turn ${turnId} was accepted, and is ${status}`);
  }
}

function checkText(
  marker: string,
  told: string,
  { turnId, text }: FoundTurn,
  report: Report,
): void {
  if (text === null)
    report('lost', `${marker}: turn ${turnId} was answered, and has no answer in the session`);
  else if (text !== told)
    report('altered', `${marker}: the caller got ${quote(told)}, the session has ${quote(text)}`);
}

/** A turn that was answered before another was asked for stands before it. */
function checkOrder(turns: readonly FoundTurn[], report: Report): void {
  for (const [index, { call }] of turns.entries()) {
    if (call === null) continue;
    const late = turns.slice(index + 1).find((later) => {
      const { outcome, endedAt } = later.call ?? call;
      return later.call !== call && isTold(outcome.type) && endedAt < call.begunAt;
    });
    if (late?.call)
      report(
        'reordered',
        `${late.call.marker} had ended before ${call.marker} began, and stands after it`,
      );
  }
}

function isTold(outcome: Call['outcome']['type']): boolean {
  return outcome === 'answered' || outcome === 'finished';
}

function checkReads({ calls, reads }: ConversationHistory, report: Report): void {
  for (const { begunAt, turnIds } of reads) {
    for (const { marker, endedAt, outcome } of calls) {
      if (outcome.type !== 'answered' || endedAt >= begunAt || turnIds.includes(outcome.turnId))
        continue;
      report('stale', `a read after ${marker} was answered does not show it`);
    }
  }
}

/** Whoever read a turn on by its id got what was committed. */
function checkStreams(
  { streams }: ConversationHistory,
  turns: readonly FoundTurn[],
  report: Report,
): void {
  for (const { turnId, text, end } of streams) {
    const committed = turns.find((turn) => turn.turnId === turnId)?.text ?? null;
    if (end === 'given up') report('unended', `the stream of turn ${turnId} did not end`);
    else if (end === 'error' && committed !== null)
      report('uncancelled', `the stream of turn ${turnId} ended as failed, and it completed`);
    else if (end === 'whole' && committed === null)
      report('lost', `the stream of turn ${turnId} was whole, and it has no answer`);
    else if (end === 'whole' && text !== committed)
      report('altered', `the stream of turn ${turnId} said ${quote(text)}`);
  }
}

export function quote(text: string): string {
  return JSON.stringify(text.length > 60 ? `${text.slice(0, 40)}…${text.slice(-19)}` : text);
}
