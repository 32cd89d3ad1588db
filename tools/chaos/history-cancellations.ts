import { isToldCancelled, mayBeCancelled } from './cancelled-calls.js';
import type { ConversationHistory, Rule, Violation } from './history.js';
import type { FoundTurn } from './history-transcript.js';
import { foundTurns } from './history-transcript.js';

/** Of a turn's end and its cancellation one counts, and everybody is told that one. */
export function checkCancellations(conversation: ConversationHistory): readonly Violation[] {
  const violations: Violation[] = [];
  const report = (rule: Rule, detail: string): void => {
    violations.push({ rule, conversation: conversation.name, detail });
  };
  const turns = foundTurns(conversation);
  for (const { told } of conversation.cancellations) {
    if (told !== null) checkTold(told.turnId, told.status, conversation, turns, report);
  }
  for (const call of conversation.calls.filter(isToldCancelled)) {
    const turn = turns.find((each) => each.call === call);
    if (turn !== undefined && turn.text !== null)
      report('uncancelled', `${call.marker} was told that turn ${turn.turnId} was cancelled`);
    if (!mayBeCancelled(call, conversation))
      report('unexpected', `${call.marker} was cancelled, and nobody had asked for that`);
  }
  return violations;
}

function checkTold(
  turnId: string,
  status: string,
  { calls, found }: ConversationHistory,
  turns: readonly FoundTurn[],
  report: (rule: Rule, detail: string) => void,
): void {
  const turn = turns.find((each) => each.turnId === turnId);
  // One that was stopped while it waited leaves no message.
  const wasWithdrawn =
    status === 'cancelled' &&
    found.turns.some((each) => each.turnId === turnId && each.status === status);
  if (turn === undefined) {
    if (wasWithdrawn) return;
    report('lost', `turn ${turnId} was said to be ${status}, and is not in the session`);
    return;
  }
  if ((status === 'completed') !== (turn.text !== null))
    report('uncancelled', `turn ${turnId} was said to be ${status}, and is not`);
  const answered = calls.some(
    ({ outcome }) => outcome.type === 'answered' && outcome.turnId === turnId,
  );
  if (answered && status !== 'completed')
    report('uncancelled', `turn ${turnId} was said to be ${status}, and was answered`);
}
