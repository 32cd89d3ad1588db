import type { Connection, ConversationHistory, Rule, Violation } from './history.js';
import { foundTurns } from './history-transcript.js';

/** What the demo model says of each result, and where a tool was not there any more. */
const RESULT = /The answer of surface_counter: “([^”]*)”/g;
const NOT_OFFERED = 'no such tool was offered';

/** The id of a call, and what the counter was raised to by it, as the surface told them back. */
const TOLD = /"told":"([0-9a-f-]{36})","count":(\d+)/;

/**
 * Calls of the surface's tool: each is made once, or once of each surface; a result that a model
 * was told was given by a surface, for this call, and told once; and a model was told what came of
 * each of its calls.
 */
export function checkTools(conversation: ConversationHistory): readonly Violation[] {
  const violations: Violation[] = [];
  const report = (rule: Rule, detail: string): void => {
    violations.push({ rule, conversation: conversation.name, detail });
  };
  const { connections, callsWait, counted } = conversation;
  const made = connections.map(callsOn);
  // One that waits goes to the next surface too, which knows it by its id.
  const repeated = callsWait ? made.flatMap(repeatedIn) : repeatedIn(made.flat());
  for (const callId of new Set(repeated)) {
    report('doubled', `call ${callId} was made twice`);
  }
  const given = new Set(connections.flatMap(({ answered }) => answered));
  const told = new Set<string>();
  for (const { call, text, turnId } of foundTurns(conversation)) {
    if (call === null || call.toolCalls === 0 || text === null) continue;
    const results = [...text.matchAll(RESULT)].map(([, result = '']) => result);
    if (results.length < call.toolCalls && !text.includes(NOT_OFFERED)) {
      const what = `${results.length} of its ${call.toolCalls} calls`;
      report('untold', `${call.marker}: turn ${turnId} says what came of ${what}`);
    }
    for (const result of results) {
      const [, callId, count] = TOLD.exec(result) ?? [];
      if (callId === undefined) continue;
      if (counted[Number(count) - 1] !== callId)
        report('unexpected', `call ${callId} was told the result of another`);
      if (told.has(callId)) report('doubled', `the result of call ${callId} was told twice`);
      if (!given.has(callId)) report('unexpected', `no surface gave the result of call ${callId}`);
      told.add(callId);
    }
  }
  return violations;
}

/** The ids of the calls that a surface was told of on one connection. */
function callsOn({ events }: Connection): readonly string[] {
  return events.flatMap(({ frame }) =>
    typeof frame !== 'string' && frame.type === 'TOOL_CALL' ? [frame.call_id] : [],
  );
}

function repeatedIn(ids: readonly string[]): readonly string[] {
  return ids.filter((id, at) => ids.indexOf(id) !== at);
}
