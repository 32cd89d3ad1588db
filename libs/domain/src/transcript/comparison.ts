import type { Message } from '#libs/protocol';
import { callIds, isAnswer, messageKey } from './message-key.js';
import { longestOverlap, standsIn } from './overlap.js';
import type { StoredTranscript, TurnView } from './stored-transcript.js';

/*
 * Compares what a client sent with the client views of the stored turns [A20].
 *
 * The stored turns are `answered` ones, with others between them that failed or were cancelled; a
 * client's list may have the messages of those or lack them. Those behind the last answered turn
 * are the *end*: what nobody has answered.
 *
 *     stored:  [q1 a1] (x) [q2 a2] (y) (z)         [ ] answered   ( ) not answered
 *                                  ^^^^^^^ the end
 *
 * Each search reads about as many stored messages as were sent, however long the conversation is
 * [A11]; only `standsInside`, which follows where all else found nothing, may read more.
 */

/** A turn whose messages were read. */
interface ReadTurn {
  readonly messages: readonly Message[];
  readonly keys: readonly string[];
  readonly alternatives: readonly string[];
}

/** A place in the stored conversation and the place in `incoming` that corresponds to it. */
export interface Pair {
  readonly keeps: number;
  readonly taken: number;
}

/** How far both conversations are the same, from their first messages on. */
export interface CommonBeginning {
  /** How many incoming messages are in it. */
  readonly length: number;
  /** Whether all answered turns are in it. */
  readonly isWhole: boolean;
  /**
   * Behind its last answer; null without any. Where the client goes on from another choice of the
   * model, that is before the choice: it has edited the answer to it.
   */
  readonly lastAnswer: (Pair & { readonly hasAssistant: boolean }) | null;
}

const keysOf = ({ keys }: ReadTurn): readonly string[] => keys;

export class Comparison {
  /** The places of the turns of the end. */
  private readonly endFrom: number;
  private readonly read = new Map<TurnView, ReadTurn>();
  private readonly keys: readonly string[];
  /** For each incoming message the place of the first answer from there on. */
  private readonly nextAnswer: readonly number[];

  constructor(
    private readonly stored: StoredTranscript,
    private readonly incoming: readonly Message[],
  ) {
    this.keys = incoming.map(messageKey);
    let next = incoming.length;
    this.nextAnswer = incoming
      .toReversed()
      .map((message, at) => (isAnswer(message) ? (next = incoming.length - 1 - at) : next))
      .reverse();
    this.endFrom = 1 + stored.turns.findLastIndex(({ outcome }) => outcome === 'answered');
  }

  /**
   * The common beginning. Of messages that nobody answered, those that the client has are passed
   * over, because an answered turn must follow in both for anything to come of them.
   */
  commonBeginning(): CommonBeginning {
    let length = 0;
    let lastAnswer: CommonBeginning['lastAnswer'] = null;
    let hasAssistant = false;
    let unanswered: string[] = [];
    for (let at = 0; at < this.endFrom; at++) {
      const view = this.stored.turns[at];
      if (view === undefined || length === this.keys.length) {
        return { length, isWhole: false, lastAnswer };
      }
      const turn = this.readTurn(view);
      if (view.outcome !== 'answered') {
        unanswered.push(...turn.keys);
        continue;
      }
      const begins = this.beginningOf(turn, unanswered, length);
      unanswered = [];
      for (const [place, message] of turn.messages.slice(0, begins.matched).entries()) {
        if (!isAnswer(message)) continue;
        hasAssistant ||= message.role === 'assistant';
        const taken = begins.from + place + 1;
        lastAnswer = { keeps: view.placeOf(place + 1), taken, hasAssistant };
      }
      length = begins.from + begins.matched;
      if (begins.matched < turn.keys.length) {
        const isOtherChoice =
          begins.matched === turn.keys.length - 1 &&
          turn.alternatives.includes(this.keys[length] ?? '');
        if (isOtherChoice) {
          const keeps = view.placeOf(begins.matched);
          lastAnswer = { keeps, taken: length, hasAssistant: true };
        }
        return { length, isWhole: false, lastAnswer };
      }
    }
    return { length, isWhole: true, lastAnswer };
  }

  /**
   * How many incoming messages stand at the end of the answered turns, with an answer among them:
   * as many as can be, and 0 if there are none. The client has either all messages between them
   * that nobody answered, or none.
   */
  overlap(): number {
    const least = 1 + this.incoming.findIndex(isAnswer);
    const lengths = [true, false].map((all) => {
      const stored: string[] = [];
      for (const key of this.fromEnd(all, keysOf)) {
        if (stored.push(key) === this.keys.length) break;
      }
      return longestOverlap(stored.reverse(), this.keys);
    });
    const longest = Math.max(...lengths);
    return longest >= least ? longest : 0;
  }

  /** Whether the first `count` incoming messages stand in the answered turns as one run. */
  standsInside(count: number): boolean {
    const run = this.keys.slice(0, count);
    return [true, false].some((all) => standsIn(this.fromEnd(all, keysOf), run));
  }

  /** Whether the first incoming message answers a call that the stored ones end with. */
  answersCall(): boolean {
    const [first] = this.incoming;
    if (first?.role !== 'tool' || typeof first.tool_call_id !== 'string') return false;
    for (const message of this.fromEnd(false, ({ messages }) => messages)) {
      if (message.role !== 'tool') return callIds(message).includes(first.tool_call_id);
    }
    return false;
  }

  /** How much of the incoming messages from `from` on stands in the end, and where it ends. */
  inEnd(from: number): {
    /** Behind the last of them. */
    readonly matched: Pair;
    /** Before the first message of the last turn that has one of them; null if none does. */
    readonly lastTurn: Pair | null;
  } {
    const [first] = this.end();
    let matched: Pair = { keeps: first?.placeOf(0) ?? this.stored.count, taken: from };
    let lastTurn: Pair | null = null;
    for (const view of this.end()) {
      if (matched.taken === this.keys.length) break;
      const before = { keeps: view.placeOf(0), taken: matched.taken };
      for (const [at, key] of this.readTurn(view).keys.entries()) {
        if (matched.taken === this.keys.length || key !== this.keys[matched.taken]) continue;
        matched = { keeps: view.placeOf(at + 1), taken: matched.taken + 1 };
        lastTurn = before;
      }
    }
    return { matched, lastTurn };
  }

  /** Before the last turns of the end whose messages the incoming ones are; null without such. */
  repeatedEnd(): number | null {
    let rest = this.keys.length;
    for (const view of this.end().toReversed()) {
      if (view.size > rest) return null;
      const from = rest - view.size;
      const { keys } = this.readTurn(view);
      if (keys.some((key, at) => key !== this.keys[from + at])) return null;
      if (from === 0) return view.placeOf(0);
      rest = from;
    }
    return null;
  }

  /**
   * Where a turn's messages begin in the incoming ones from `at` on, if some of the unanswered ones
   * before it stand there first, and how many of them follow there.
   */
  private beginningOf(
    { keys, messages }: ReadTurn,
    unanswered: readonly string[],
    at: number,
  ): { readonly from: number; readonly matched: number } {
    let most = at;
    for (const key of unanswered) if (key === this.keys[most]) most += 1;
    // Questions may repeat what failed before them: the answers tell where the turn's own begin.
    const aligned = (this.nextAnswer[at] ?? at) - messages.findIndex(isAnswer);
    const candidates = [at, most, ...(aligned > at && aligned < most ? [aligned] : [])];
    const tries = candidates.map((from) => {
      const mismatch = keys.findIndex((key, index) => key !== this.keys[from + index]);
      return { from, matched: mismatch === -1 ? keys.length : mismatch };
    });
    const best = tries.reduce((one, other) => (other.matched > one.matched ? other : one));
    return best.matched === 0 ? { from: most, matched: 0 } : best;
  }

  private end(): readonly TurnView[] {
    return this.stored.turns.slice(this.endFrom);
  }

  /** What answered turns have, from the last one back; `all`: also those between them. */
  private *fromEnd<T>(all: boolean, has: (turn: ReadTurn) => readonly T[]): Iterable<T> {
    for (let at = this.endFrom - 1; at >= 0; at--) {
      const view = this.stored.turns[at];
      if (view === undefined || (!all && view.outcome !== 'answered')) continue;
      yield* has(this.readTurn(view)).toReversed();
    }
  }

  private readTurn(view: TurnView): ReadTurn {
    const known = this.read.get(view);
    if (known !== undefined) return known;
    const messages = view.messages();
    const alternatives = view.alternatives().map(messageKey);
    const turn = { messages, keys: messages.map(messageKey), alternatives };
    this.read.set(view, turn);
    return turn;
  }
}
