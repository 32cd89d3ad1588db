import type { Connection, ConversationHistory, Rule, Violation } from './history.js';
import { foundTurns } from './history-transcript.js';

/** What the demo model says of each result, and where a tool was not there any more. */
const RESULT = /The answer of surface_counter: “([^”]*)”/g;
const NOT_OFFERED = 'no such tool was offered';

/** The id of a call, as the surface told it back. */
const TOLD = /"told":"([0-9a-f-]{36})"/;

/**
 * Calls of the surface's tool: each is made once, or once of each surface; a result that a model
 * was told was given by a surface, and told once; and where a model called, it was told what came
 * of that.
 */
export function checkTools(conversation: ConversationHistory): readonly Violation[] {
  const violations: Violation[] = [];
  const report = (rule: Rule, detail: string): void => {
    violations.push({ rule, conversation: conversation.name, detail });
  };
  const { connections, callsWait } = conversation;
  const made = connections.map(callsOn);
  // One that waits goes to the next surface too, which knows it by its id.
  const repeated = callsWait ? made.flatMap(repeatedIn) : repeatedIn(made.flat());
  for (const callId of new Set(repeated)) {
    report('doubled', `call ${callId} was made twice`);
  }
  const given = new Set(connections.flatMap(({ answered }) => answered));
  const told = new Set<string>();
  for (const { call, text, turnId } of foundTurns(conversation)) {
    if (call?.usesTool !== true || text === null) continue;
    const results = [...text.matchAll(RESULT)].map(([, result = '']) => result);
    if (results.length === 0 && !text.includes(NOT_OFFERED)) {
      report('untold', `${call.marker}: turn ${turnId} says nothing of its calls`);
    }
    for (const result of results) {
      const callId = TOLD.exec(result)?.[1];
      if (callId === undefined) continue;
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
