import type { History, Violation } from './history.js';
import { checkCancellations } from './history-cancellations.js';
import { checkKept } from './history-kept.js';
import { checkStops } from './history-stops.js';
import { checkTether } from './history-tether.js';
import { checkTools } from './history-tools.js';
import { checkTranscript } from './history-transcript.js';

/**
 * Compares what callers and surfaces were told with what is found in the end: nothing acknowledged
 * is lost, doubled, altered or out of order, every turn ended, and what a surface got is, after
 * dropping repeats by `seq`, each owed turn once and in order. Calls without an acknowledged
 * outcome may have run, at most once each. A tool is called once for each call of a model, which is
 * told what came of it. A process that is asked to stop fails nothing, and tells everybody whom it
 * leaves. The other consumers of the log have all of it, once. Nothing found: the history is
 * allowed.
 */
export function checkHistory(history: History): readonly Violation[] {
  const { conversations, killedAt } = history;
  return conversations.flatMap((conversation) => [
    ...checkTranscript(conversation),
    ...checkTether(conversation, killedAt),
    ...checkStops(conversation, history),
    ...checkCancellations(conversation),
    ...checkTools(conversation),
    ...checkKept(conversation),
  ]);
}
