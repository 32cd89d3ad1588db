import { isToldCancelled, mayBeCancelled } from './cancelled-calls.js';
import type { ConversationHistory, Rule, Violation } from './history.js';
import type { ShownConnection, ShownTurn } from './history-connection.js';
import { readConnection } from './history-connection.js';
import type { FoundTurn } from './history-transcript.js';
import { foundTurns, quote } from './history-transcript.js';

/** A DETACH is answered by 1000 after the log took it, or after 5 s without that; in ms. */
const DETACH_CERTAIN_MS = 4_000;
/** A server knows that a caller has gone at the latest so long after it went, in ms. */
const GONE_KNOWN_MS = 1_000;

type Report = (rule: Rule, detail: string) => void;

/**
 * What surfaces were shown over all connections, against each other and against the session's
 * messages.
 */
export function checkTether(
  conversation: ConversationHistory,
  killedAt: readonly number[],
): readonly Violation[] {
  const violations: Violation[] = [];
  const report = (rule: Rule, detail: string): void => {
    violations.push({ rule, conversation: conversation.name, detail });
  };
  const connections = conversation.connections.map(readConnection);
  for (const { rule, detail } of connections.flatMap(({ problems }) => problems))
    report(rule, detail);
  const shown = checkNumbering(connections, report);
  const turns = foundTurns(conversation);
  checkTexts(conversation, connections, turns, report);
  checkCursor(conversation, connections, report);
  checkOwed(connections, shown, turns, report);
  checkEndings(conversation, shown, turns, killedAt, report);
  if (conversation.found.queuedTurns !== 0) {
    report(
      'redrained',
      `${conversation.found.queuedTurns} turns still wait after all were acknowledged`,
    );
  }
  return violations;
}

/** One `seq` is one turn; all of them together leave none out. Gives each turn by its id. */
function checkNumbering(
  connections: readonly ShownConnection[],
  report: Report,
): ReadonlyMap<string, ShownTurn> {
  const bySeq = new Map<number, ShownTurn>();
  const byTurn = new Map<string, ShownTurn>();
  for (const turn of connections.flatMap(({ turns }) => turns)) {
    const sameSeq = bySeq.get(turn.seq);
    const sameTurn = byTurn.get(turn.turnId);
    if (sameSeq !== undefined && sameSeq.turnId !== turn.turnId) {
      report('conflict', `seq ${turn.seq} was turn ${sameSeq.turnId}, then ${turn.turnId}`);
    }
    if (sameTurn !== undefined && sameTurn.seq !== turn.seq) {
      report('conflict', `turn ${turn.turnId} was seq ${sameTurn.seq}, then ${turn.seq}`);
    }
    if (sameTurn !== undefined && sameTurn.status !== turn.status) {
      report('altered', `turn ${turn.turnId} had ${sameTurn.status}, then ${turn.status}`);
    }
    bySeq.set(turn.seq, turn);
    byTurn.set(turn.turnId, turn);
  }
  const last = Math.max(0, ...bySeq.keys());
  for (let seq = 1; seq <= last; seq++)
    if (!bySeq.has(seq)) report('gap', `no surface was ever shown seq ${seq}`);
  return byTurn;
}

/** Each showing of a turn is its committed text. */
function checkTexts(
  { found: { turns: all } }: ConversationHistory,
  connections: readonly ShownConnection[],
  turns: readonly FoundTurn[],
  report: Report,
): void {
  const found = new Map(turns.map((turn) => [turn.turnId, turn]));
  const statuses = new Map(all.map((turn) => [turn.turnId, turn.status]));
  for (const { connection, turns: ofConnection } of connections) {
    for (const { turnId, seq, status, text } of ofConnection) {
      const turn = found.get(turnId);
      const where = `connection ${connection.id}: seq ${seq}, turn ${turnId}`;
      if (turn === undefined) {
        // One that ended while it waited left no message.
        const isWithdrawn = status !== 'completed' && statuses.get(turnId) === status;
        if (!isWithdrawn) report('lost', `${where} is not in the session`);
      } else if ((status === 'completed') !== (turn.text !== null))
        report('altered', `${where} was shown as ${status}`);
      else if (text !== (turn.text ?? '')) {
        report(
          'altered',
          `${where} was shown as ${quote(text)}, the session has ${quote(turn.text ?? '')}`,
        );
      }
    }
  }
}

/** Where a drain begins: never before what was acknowledged, never behind what was not. */
function checkCursor(
  conversation: ConversationHistory,
  connections: readonly ShownConnection[],
  report: Report,
): void {
  const acknowledged = [...conversation.acknowledged, ...acknowledgedByDetach(connections)];
  const begun = connections.flatMap((each) => {
    const { attachSentAt, attachedAt, turns } = each;
    const [first] = turns;
    return attachSentAt === null || attachedAt === null || first === undefined
      ? []
      : [{ id: each.connection.id, attachSentAt, attachedAt, cursor: first.seq - 1 }];
  });
  for (const { id, attachSentAt, attachedAt, cursor } of begun) {
    const durable = Math.max(
      0,
      ...acknowledged.filter(({ at }) => at < attachSentAt).map(({ seq }) => seq),
    );
    if (cursor < durable)
      report(
        'redrained',
        `connection ${id} begins with seq ${cursor + 1}; ${durable} was acknowledged`,
      );
    const earlier = begun.filter((each) => each.attachedAt < attachSentAt);
    const reached = Math.max(0, ...earlier.map((each) => each.cursor));
    if (cursor < reached)
      report(
        'redrained',
        `connection ${id} begins with seq ${cursor + 1}, an earlier one with ${reached + 1}`,
      );
    const pongs = connections.flatMap((each) => each.pongs).filter(({ at }) => at <= attachedAt);
    const read = Math.max(0, ...pongs.map(({ horizon }) => horizon));
    if (cursor > read)
      report(
        'gap',
        `connection ${id} begins with seq ${cursor + 1}, and only ${read} was acknowledged`,
      );
  }
}

/**
 * What a surface acknowledged before a DETACH that was answered is in the log, unless another took
 * over meanwhile.
 */
function acknowledgedByDetach(
  connections: readonly ShownConnection[],
): readonly { at: number; seq: number }[] {
  return connections.flatMap(({ connection, pongs, attachSentAt }) => {
    const detach = connection.events.find(
      (event) => event.type === 'sent' && event.frame === 'DETACH',
    );
    if (detach === undefined || attachSentAt === null || connection.closeCode !== 1000) return [];
    if (connection.closedAt - detach.at > DETACH_CERTAIN_MS) return [];
    const alone = connections.every(
      (other) =>
        other.connection === connection ||
        other.connection.closedAt < connection.openedAt ||
        other.connection.openedAt > connection.closedAt,
    );
    const horizon = Math.max(0, ...pongs.map((pong) => pong.horizon));
    return alone && horizon > 0 ? [{ at: connection.closedAt, seq: horizon }] : [];
  });
}

/**
 * Turns that nobody received, and all that ended after a surface had been there, come to a surface;
 * in their order.
 */
function checkOwed(
  connections: readonly ShownConnection[],
  shown: ReadonlyMap<string, ShownTurn>,
  turns: readonly FoundTurn[],
  report: Report,
): void {
  const firstAttached = Math.min(...connections.map(({ attachedAt }) => attachedAt ?? Infinity));
  let lastSeq = 0;
  for (const turn of turns) {
    const name = nameOf(turn);
    const ended = shown.get(turn.turnId);
    if (ended === undefined) {
      if (isOwed(turn, firstAttached))
        report('undelivered', `${name} was never given to a surface`);
      continue;
    }
    if (turn.text !== null && turn.completedAt > firstAttached) {
      if (ended.seq < lastSeq)
        report('reordered', `${name} has seq ${ended.seq}, a turn before it has ${lastSeq}`);
      lastSeq = ended.seq;
    }
  }
}

/** Whether a turn must come to a surface sooner or later, given when the first one was there. */
export function isOwed({ call, text, completedAt }: FoundTurn, firstAttached: number): boolean {
  if (text !== null && completedAt > firstAttached) return true;
  // Its caller knows, and there may have been no surface.
  if (text === null && call !== null && isToldCancelled(call)) return false;
  switch (call?.outcome.type) {
    case 'broken':
    case 'finished':
    case 'forgotten':
      return true;
    case 'accepted':
      return text !== null;
    case 'vanished':
      return text === null
        ? call.outcome.told !== true
        : completedAt > call.endedAt + GONE_KNOWN_MS;
    case 'refused':
      return text !== null || !call.outcome.mayRetry;
    case 'answered':
    case 'unreached':
    case undefined:
      return false;
  }
}

/** So many processes that ran a turn must have died before it may be given up. */
const DEATHS_TO_GIVE_UP = 4;

/** A turn that did not complete has a reason. */
function checkEndings(
  conversation: ConversationHistory,
  shown: ReadonlyMap<string, ShownTurn>,
  turns: readonly FoundTurn[],
  killedAt: readonly number[],
  report: Report,
): void {
  for (const turn of turns) {
    const ended = shown.get(turn.turnId);
    if (ended === undefined || turn.text !== null) continue;
    const { errorCode, status } = ended;
    const deaths = killedAt.filter((at) => at >= (turn.call?.begunAt ?? 0)).length;
    const isGivenUp = errorCode === 'SBP_TURN_ABANDONED' && deaths >= DEATHS_TO_GIVE_UP;
    // Its caller had been told, before it began, that it may try again.
    const wasRefused = turn.call?.outcome.type === 'refused' && turn.call.outcome.mayRetry;
    const isCancelled =
      errorCode === 'SBP_TURN_CANCELLED' &&
      turn.call !== null &&
      mayBeCancelled(turn.call, conversation);
    if (!isGivenUp && !wasRefused && !isCancelled) {
      report('unexpected', `${nameOf(turn)} ended ${status} with ${errorCode ?? 'no error'}`);
    }
  }
}

function nameOf({ call, turnId }: FoundTurn): string {
  return `${call?.marker ?? 'an unknown call'} (turn ${turnId})`;
}
