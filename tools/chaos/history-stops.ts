import type { Call, Connection, ConversationHistory, History, Rule, Violation } from './history.js';
import type { FoundTurn } from './history-transcript.js';
import { foundTurns } from './history-transcript.js';

/** The end of a process and what a caller sees of it are noticed at most so far apart, in ms. */
const NOTICED_MS = 2_000;
/** Within this a process has noted durably that an answer was given, in ms. */
const CONFIRMED_MS = 5_000;

type Report = (rule: Rule, detail: string) => void;

/**
 * What callers were told by processes that were asked to stop, or by those that stay: whoever is
 * left without an answer hears whether to try again, and that is right. Only a process that is
 * killed says nothing.
 */
export function checkStops(
  conversation: ConversationHistory,
  { killedAt, alwaysTaken }: Pick<History, 'killedAt' | 'alwaysTaken'>,
): readonly Violation[] {
  const violations: Violation[] = [];
  const report = (rule: Rule, detail: string): void => {
    violations.push({ rule, conversation: conversation.name, detail });
  };
  const turns = foundTurns(conversation);
  for (const call of conversation.calls) {
    const turn = turns.find((each) => each.call?.marker === call.marker) ?? null;
    checkTold(call, turn, report);
    const isUntaken = turn === null && !alwaysTaken;
    checkSilence(call, isUntaken, killedAt, report);
  }
  checkRedelivered(conversation, turns, killedAt, report);
  return violations;
}

/** A caller who must not try again has its turn in the session; one who may has none that ran. */
function checkTold({ marker, outcome }: Call, turn: FoundTurn | null, report: Report): void {
  switch (outcome.type) {
    case 'refused':
      if (outcome.status !== 503) return;
      if (outcome.mayRetry && turn !== null && turn.text !== null)
        report('misled', `${marker} was told to try again, and turn ${turn.turnId} completed`);
      if (!outcome.mayRetry && turn === null)
        report('lost', `${marker} was told not to try again, and has no turn in the session`);
      return;
    case 'broken':
      if (outcome.told !== null && turn === null)
        report('lost', `${marker} was told that its turn goes on, and it is not in the session`);
      return;
    case 'answered':
    case 'accepted':
    case 'finished':
    case 'vanished':
    case 'unreached':
    case 'forgotten':
  }
}

/**
 * Nobody is cut off without a word, unless a process was killed or it stopped reading itself.
 * `isUntaken`: nothing has begun for it, and its connection may have come to nobody.
 */
function checkSilence(
  { marker, outcome, reading, begunAt, endedAt }: Call,
  isUntaken: boolean,
  killedAt: readonly number[],
  report: Report,
): void {
  if (outcome.type !== 'broken' && outcome.type !== 'finished') return;
  if (outcome.told !== null || reading === 'stalling') return;
  if (outcome.type === 'broken' && !outcome.begun && isUntaken) return;
  const hadReason = killedAt.some((at) => at > begunAt - NOTICED_MS && at < endedAt + NOTICED_MS);
  if (!hadReason) report('silent', `${marker} was cut off without a word; nothing was killed then`);
}

/** What a caller got in full, before any surface was there, is given to none. */
function checkRedelivered(
  { connections }: ConversationHistory,
  turns: readonly FoundTurn[],
  killedAt: readonly number[],
  report: Report,
): void {
  const shown = new Set(
    connections.flatMap(({ events }) =>
      events.flatMap(({ frame }) =>
        typeof frame !== 'string' && frame.type === 'TETHER_TURN' ? [frame.turn_id] : [],
      ),
    ),
  );
  const firstAsked = Math.min(Infinity, ...connections.map(attachAskedAt));
  for (const { turnId, call } of turns) {
    if (call?.outcome.type !== 'answered' || call.endedAt >= firstAsked) continue;
    // A repeat of a request does not count as having received its answer.
    if (call.manner === 'keyed' || call.manner === 'counted') continue;
    const { begunAt, endedAt } = call;
    const mayBeOwed = killedAt.some((at) => at > begunAt && at < endedAt + CONFIRMED_MS);
    if (shown.has(turnId) && !mayBeOwed)
      report('redelivered', `${call.marker} was answered, and a surface got turn ${turnId} too`);
  }
}

function attachAskedAt({ events }: Connection): number {
  return events.find(({ frame }) => frame === 'ATTACH_SESSION')?.at ?? Infinity;
}
