import type { History, Message } from '#libs/protocol';
import type { Pair } from './comparison.js';
import { Comparison } from './comparison.js';
import { isAnswer, isSystem, sameMessages } from './message-key.js';
import type { StoredTranscript } from './stored-transcript.js';

/** What a request adds to the stored conversation. */
export interface TranscriptUpdate {
  /** How many stored messages stay. */
  readonly keeps: number;
  /** Bytes of those, as JSON. */
  readonly keptBytes: number;
  /** What comes after them. */
  readonly messages: readonly Message[];
  /** System and developer messages, if they differ from the stored ones: they replace them. */
  readonly system: readonly Message[] | null;
}

export interface Reading {
  readonly update: TranscriptUpdate;
  /**
   * False where the messages are another conversation; `update` is then what becomes of a session
   * that was asked for by name.
   */
  readonly belongs: boolean;
}

type New = Pick<TranscriptUpdate, 'keeps' | 'messages'>;
type Found = New & { readonly belongs: boolean };

/**
 * Decides what is new in `incoming`, since clients differ: some send only the new message, some
 * resend everything, some edit. The rules are those of `docs/protocol.md`, in their order.
 *
 * `mayCut`: whether an edit may cut stored turns. Where one of them ended after the request arrived
 * it may not, because its caller was answered while nobody had asked to replace it: then what
 * follows the common beginning is appended.
 */
export function readMessages(
  stored: StoredTranscript,
  incoming: readonly Message[],
  { history, mayCut }: { readonly history: History; readonly mayCut: boolean },
): Reading {
  const conversation = incoming.filter((message) => !isSystem(message));
  const system = incoming.filter(isSystem);
  const replaced = system.length > 0 && !sameMessages(system, stored.system) ? system : null;
  const { belongs, keeps, messages } = find(stored, conversation, history, mayCut);
  return {
    update: { keeps, keptBytes: stored.bytesOf(keeps), messages, system: replaced },
    belongs,
  };
}

function find(
  stored: StoredTranscript,
  incoming: readonly Message[],
  history: History,
  mayCut: boolean,
): Found {
  const after = ({ keeps, taken }: Pair): New => ({ keeps, messages: incoming.slice(taken) });
  const appended = (taken: number): New => after({ keeps: stored.count, taken });
  const edited = (from: Pair): New => (mayCut ? after(from) : appended(from.taken));
  switch (history) {
    case 'new':
      return { ...appended(0), belongs: true };
    case 'full':
      return findWhole(new Comparison(stored, incoming));
    case 'auto': {
      const found = incoming.some(isAnswer)
        ? findByAnswers(new Comparison(stored, incoming))
        : findQuestions(new Comparison(stored, incoming));
      return found === null
        ? { ...appended(0), belongs: stored.count === 0 }
        : { ...found, belongs: true };
    }
  }

  /** Rule 1. */
  function findQuestions(comparison: Comparison): New {
    const repeated = comparison.repeatedEnd();
    return repeated === null ? appended(0) : after({ keeps: repeated, taken: 0 });
  }

  /** Rules 2 to 4. */
  function findByAnswers(comparison: Comparison): New | null {
    const common = comparison.commonBeginning();
    const next = continued(comparison, common.isWhole ? common.length : comparison.overlap());
    if (next !== null) return next;
    if (common.lastAnswer?.hasAssistant === true) return edited(common.lastAnswer);
    const answered = incoming.findLastIndex(isAnswer) + 1;
    if (comparison.standsInside(answered)) return continued(comparison, answered);
    // The answers of tools alone, for a client that sends only what is new.
    return comparison.answersCall() ? appended(0) : null;
  }

  /** The incoming messages before `from` are stored. Null where they hold no answer. */
  function continued(comparison: Comparison, from: number): New | null {
    const { matched, lastTurn } = comparison.inEnd(from);
    if (!incoming.slice(0, matched.taken).some(isAnswer)) return null;
    const isRetry = lastTurn !== null && matched.taken === incoming.length;
    return isRetry ? after(lastTurn) : appended(matched.taken);
  }

  function findWhole(comparison: Comparison): Found {
    const common = comparison.commonBeginning();
    if (!common.isWhole) {
      // From the last answer on, so that a regeneration that fails leaves its question whole.
      const from = common.lastAnswer ?? { keeps: 0, taken: 0 };
      return { ...edited(from), belongs: common.length > 0 };
    }
    const { matched, lastTurn } = comparison.inEnd(common.length);
    const isRetry = lastTurn !== null && matched.taken === incoming.length;
    return {
      ...(isRetry ? after(lastTurn) : edited(matched)),
      belongs: matched.taken > 0 || stored.count === 0,
    };
  }
}
