import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { History, Message } from '#libs/protocol';
import type { Stored } from '#libs/domain/testing';
import { assistant, chosen, failed, refused, stored, user } from '#libs/domain/testing';
import { messageKey } from './message-key.js';
import type { StoredTranscript } from './stored-transcript.js';
import { readMessages } from './transcript.js';

const system = (content: string): Message => ({ role: 'system', content });
const tool = (tool_call_id: string, content = 'result'): Message => ({
  role: 'tool',
  tool_call_id,
  content,
});
const calls = (content: string | null, ...ids: readonly string[]): Message => ({
  role: 'assistant',
  content,
  tool_calls: ids.map((id) => ({ id, type: 'function', function: { name: id, arguments: '{}' } })),
});

interface Result {
  readonly keeps: number;
  readonly messages: readonly Message[];
  readonly belongs: boolean;
}

function read(
  before: StoredTranscript,
  incoming: readonly Message[],
  { history = 'auto', mayCut = true }: { history?: History; mayCut?: boolean } = {},
): Result {
  const { update, belongs } = readMessages(before, incoming, { history, mayCut });
  const { keeps, messages, keptBytes } = update;
  expect(keptBytes).toBe(before.bytesOf(keeps));
  return { keeps, messages, belongs };
}

/** The conversation that a turn goes to the model with. */
function conversation(before: Stored, update: Pick<Result, 'keeps' | 'messages'>) {
  return [...before.messages.slice(0, update.keeps), ...update.messages];
}

const [q1, a1, q2, a2, q3, a3] = [
  user('one'),
  assistant('1'),
  user('two'),
  assistant('2'),
  user('three'),
  assistant('3'),
];
const [x, y, image] = [user('x'), user('y'), user('image')];
const greeting = assistant('How can I help?');

type Case = readonly [
  title: string,
  before: Stored,
  incoming: readonly Message[],
  keeps: number,
  messages: readonly Message[],
];

function cases(list: readonly Case[], how: Parameters<typeof read>[2] = {}): void {
  it.for(list)('%s', ([, before, incoming, keeps, messages]) => {
    expect(read(before, incoming, how)).toEqual({ keeps, messages, belongs: true });
  });
}

// [SBP-L1-21]
describe('messages without any answer in them (rule 1)', () => {
  const one = stored([q1, a1], failed(q2));
  const two = stored([q1, a1], failed(x), failed(q2));
  cases([
    ['are all new in an empty session', stored(), [q1], 0, [q1]],
    ['are all new', stored([q1, a1]), [q2, q3], 2, [q2, q3]],
    ['are new even where they repeat an answered question', stored([q1, a1]), [q1], 2, [q1]],
    ['may be none', stored([q1, a1]), [], 2, []],
    ['try a failed turn again where they repeat it', one, [q2], 2, [q2]],
    ['try a first turn again', stored(failed(q1)), [q1], 0, [q1]],
    ['try a refused turn again', stored([q1, a1], refused(q2)), [q2], 2, [q2]],
    ['try the last of several failed turns again', two, [q2], 3, [q2]],
    ['try several failed turns again where they repeat all', two, [x, q2], 2, [x, q2]],
    ['come after a failed turn where they are others', one, [q3], 3, [q3]],
    ['come after it where they are more than it', one, [q2, q3], 3, [q2, q3]],
    ['come after it where they are less than it', stored(failed(q1, q2)), [q2], 2, [q2]],
  ]);
});

// [SBP-L1-22]
describe('messages with an answer in them (rule 2)', () => {
  const four = stored([q1, a1], [q2, a2]);
  const again = stored([q1, a1], [q1, a1]);
  cases([
    ['are new behind the whole', stored([q1, a1]), [q1, a1, q2], 2, [q2]],
    ['are new behind its last answer', four, [a2, q3], 4, [q3]],
    ['are new behind its last messages', four, [q2, a2, q3], 4, [q3]],
    ['overlap as far as they can', again, [q1, a1, q1, a1, q2], 4, [q2]],
    ['overlap before they are an edit', again, [q1, a1, q2], 4, [q2]],
    ['are nothing new where nothing follows', stored([q1, a1]), [q1, a1], 2, []],
    ['begin a session with all of them', stored(), [q1, a1, q2], 0, [q1, a1, q2]],
    [
      'go on with a greeting that came first',
      stored([greeting, q1, a1]),
      [greeting, q1, a1, q2],
      3,
      [q2],
    ],
  ]);

  it('do not overlap by questions alone', () => {
    const incoming = [q2, assistant('guess'), q3];
    const before = stored([q1, a1], failed(q2));
    expect(read(before, incoming)).toEqual({ keeps: 3, messages: incoming, belongs: false });
  });
});

// [SBP-L1-43]
describe('turns that failed', () => {
  const between = stored([q1, a1], failed(x), [q2, a2]);
  const mixed = stored([q1, a1], failed(x), [q2, a2], failed(y), [q3, a3]);
  const same = stored(failed(q1), [q1, a1]);
  const end = stored([q1, a1], failed(q2));
  const two = stored([q1, a1], refused(image), failed(q2));
  cases([
    ['are skipped where a resend lacks them', between, [q1, a1, q2, a2, q3], 5, [q3]],
    ['are matched where a resend has them', between, [q1, a1, x, q2, a2, q3], 5, [q3]],
    ['may be there in part: the first', mixed, [q1, a1, x, q2, a2, q3, a3, q1], 8, [q1]],
    ['may be there in part: the second', mixed, [q1, a1, q2, a2, y, q3, a3, q1], 8, [q1]],
    ['are skipped in a window that slides', mixed, [q2, a2, q3, a3, q1], 8, [q1]],
    ['are matched in a window that slides', mixed, [a1, x, q2, a2, y, q3, a3, q1], 8, [q1]],
    ['may be what was asked again: lacking', same, [q1, a1, q2], 3, [q2]],
    ['may be what was asked again: there', same, [q1, q1, a1, q2], 3, [q2]],
    ['at the end are tried again by a resend', end, [q1, a1, q2], 2, [q2]],
    ['at the end are tried again by a window', end, [a1, q2], 2, [q2]],
    ['at the end are passed over by a new question', end, [q1, a1, q2, q3], 3, [q3]],
    ['at the end may be lacking', end, [q1, a1, q3], 3, [q3]],
    ['at the end: only the last is tried again', two, [q1, a1, image, q2], 3, [q2]],
    ['at the end: the last, where the other is lacking', two, [q1, a1, q2], 3, [q2]],
    ['at the end: those behind the one tried again go', two, [q1, a1, image], 2, [image]],
    [
      'alone are tried again by a resend',
      stored(failed(q1, a1, q2)),
      [q1, a1, q2],
      0,
      [q1, a1, q2],
    ],
    [
      'of a tool loop are tried again',
      stored([q1, calls(null, 'c')], failed(tool('c'))),
      [tool('c')],
      2,
      [tool('c')],
    ],
  ]);

  it('are not doubled, however often and in whatever way the question is sent again', () => {
    const ways = [[q1, a1, q2], [q2], [a1, q2]];
    fc.assert(
      fc.property(fc.array(fc.constantFrom(...ways), { minLength: 1 }), (tries) => {
        let before = stored([q1, a1], failed(q2));
        for (const incoming of tries) {
          const { keeps, messages } = read(before, incoming);
          expect(conversation(before, { keeps, messages })).toEqual([q1, a1, q2]);
          before = stored([q1, a1], failed(...messages));
        }
      }),
    );
  });
});

describe('tool calls', () => {
  const called = stored([q1, calls(null, 'c', 'd')]);
  const results = [tool('c'), tool('d')];
  cases([
    [
      'of a client that writes "" where null is stored',
      called,
      [q1, calls('', 'c', 'd'), ...results],
      2,
      results,
    ],
    ['go on with their results alone', called, results, 2, results],
    [
      'go on with results that were tried before',
      stored([q1, calls(null, 'c', 'd')], failed(...results)),
      [q1, calls('', 'c', 'd'), ...results],
      2,
      results,
    ],
  ]);

  it('are not gone on with by the results of others', () => {
    const other = [tool('e')];
    expect(read(called, other)).toEqual({ keeps: 2, messages: other, belongs: false });
  });
});

// [SBP-L1-65]
describe('an edit or a regeneration (rule 3)', () => {
  const four = stored([q1, a1], [q2, a2]);
  const called = stored([q1, a1], [q2, calls(null, 'c')], [tool('c'), a2]);
  const edits: readonly Case[] = [
    ['brings the question again', four, [q1, a1, q2], 2, [q2]],
    ['brings another question', four, [q1, a1, q3], 2, [q3]],
    ['keeps nothing of what follows', stored([q1, a1], [q2, a2], [q3, a3]), [q1, a1, x], 2, [x]],
    ['may be of an answer', four, [q1, a1, q2, a3, q3], 2, [q2, a3, q3]],
    ['goes back to an answer', four, [q1, a1], 2, []],
    ['may begin behind a greeting', stored([greeting, q1, a1]), [greeting, q2], 1, [q2]],
    ['may be within a tool loop', called, [q1, a1, q2, calls('', 'c'), tool('c')], 5, []],
    [
      'may be of a call',
      called,
      [q1, a1, q2, calls('', 'e'), tool('e')],
      2,
      [q2, calls('', 'e'), tool('e')],
    ],
    [
      'passes failed turns',
      stored([q1, a1], failed(x), [q2, a2], [q3, a3]),
      [q1, a1, q2, a2, y],
      5,
      [y],
    ],
  ];
  cases(edits);

  it.for(edits)('cuts no turn that ended meanwhile: %s', ([, before, incoming, , messages]) => {
    const { keeps, ...appended } = read(before, incoming, { mayCut: false });
    expect(keeps).toBe(before.count);
    expect(appended).toEqual({ messages, belongs: true });
  });

  it('that fails doubles nothing when it is tried again', () => {
    const before = stored([q1, a1], failed(q2));
    for (const incoming of [[q1, a1, q2], [q2]]) {
      expect(conversation(before, read(before, incoming))).toEqual([q1, a1, q2]);
    }
  });

  it('of two full resends at once the later one is appended', () => {
    const then = stored([q1, a1]);
    const first = conversation(then, read(then, [q1, a1, q2]));
    expect(first).toEqual([q1, a1, q2]);
    const now = stored([q1, a1], [q2, a2]);
    const second = read(now, [q1, a1, q3], { mayCut: false });
    expect(conversation(now, second)).toEqual([q1, a1, q2, a2, q3]);
  });
});

// [SBP-L1-74]
describe('another choice of the model', () => {
  const one = stored(chosen([q1, a1], a2, a3));
  const two = stored([q1, a1], chosen([q2, a2], a3), [x, assistant('X')]);
  cases([
    ['is an edit of the first answer', one, [q1, a3, q2], 1, [a3, q2]],
    ['is an edit of a later answer', two, [q1, a1, q2, a3, y], 3, [a3, y]],
    ['is none where choice 0 is gone on from', one, [q1, a1, q2], 2, [q2]],
  ]);

  it('is no choice where nobody was given it', () => {
    expect(read(one, [q1, assistant('4'), q2]).belongs).toBe(false);
  });
});

// [SBP-L1-66]
describe('messages that stand in the transcript as one run (rule 4)', () => {
  cases([
    ['are followed by what is new', stored([q1, a1], [q2, a2], [q3, a3]), [q2, a2, x], 6, [x]],
    [
      'may skip failed turns',
      stored([q1, a1], [q2, a2], failed(y), [q3, a3]),
      [a1, q2, a2, x],
      7,
      [x],
    ],
    ['may have them', stored([q1, a1], failed(y), [q2, a2], [q3, a3]), [a1, y, q2, a2, x], 7, [x]],
    ['try a failed turn again', stored([q1, a1], [q2, a2], [q3, a3], failed(x)), [a2, x], 6, [x]],
  ]);
});

// [SBP-L1-67]
describe('another conversation (rule 5)', () => {
  it.for<[string, readonly Message[]]>([
    ['a new chat with an answer in it', [x, assistant('X'), y]],
    ['a first question that was edited', [user('One!'), a1, q2]],
    ['an answer that nobody gave', [q1, assistant('?'), q2]],
    ['a greeting that is not stored', [greeting, q1]],
  ])('is told from the stored one, and appended where it is named: %s', ([, incoming]) => {
    const before = stored([q1, a1], [q2, a2]);
    expect(read(before, incoming)).toEqual({ keeps: 4, messages: incoming, belongs: false });
  });
});

// [SBP-L1-27]
describe('history: new', () => {
  cases(
    [
      ['appends all', stored([q1, a1]), [q1, a1, q2], 2, [q1, a1, q2]],
      ['appends a question again that failed', stored(failed(q1)), [q1], 1, [q1]],
    ],
    { history: 'new' },
  );
});

// [SBP-L1-27]
describe('history: full', () => {
  const before = stored([q1, a1], [q2, a2]);
  cases(
    [
      ['goes on with the whole', before, [q1, a1, q2, a2, q3], 4, [q3]],
      ['edits a question', before, [q1, a1, q3], 2, [q3]],
      ['regenerates the first answer', before, [q1], 0, [q1]],
      ['begins a session', stored(), [q1, a1, q2], 0, [q1, a1, q2]],
      ['keeps no failed turn that is lacking', stored([q1, a1], failed(x)), [q1, a1, q2], 2, [q2]],
      ['keeps a failed turn that is there', stored([q1, a1], failed(x)), [q1, a1, x, q2], 3, [q2]],
      ['tries a failed turn again', stored([q1, a1], failed(x)), [q1, a1, x], 2, [x]],
      ['does not overlap with the end', stored([q1, a1], [q1, a1]), [q1, a1, q2], 2, [q2]],
    ],
    { history: 'full' },
  );

  it('replaces what shares not even the first message, which is another conversation', () => {
    for (const mayCut of [true, false]) {
      expect(read(before, [x, assistant('X'), y], { history: 'full', mayCut })).toEqual({
        keeps: mayCut ? 0 : 4,
        messages: [x, assistant('X'), y],
        belongs: false,
      });
    }
  });

  it('cuts no turn that ended meanwhile', () => {
    const edited = read(before, [q1, a1, q3], { history: 'full', mayCut: false });
    expect(edited).toEqual({ keeps: 4, messages: [q3], belongs: true });
  });
});

// [SBP-L1-24]
describe('system and developer messages', () => {
  const newIn = (before: StoredTranscript, incoming: readonly Message[]) =>
    readMessages(before, incoming, { history: 'auto', mayCut: true }).update;

  it('are set aside, and replace the stored ones where they differ', () => {
    expect(newIn(stored(), [system('a'), q1])).toMatchObject({
      messages: [q1],
      system: [system('a')],
    });
    const before = { ...stored([q1, a1]), system: [system('a')] };
    expect(newIn(before, [system('a'), q1, a1, q2])).toMatchObject({
      keeps: 2,
      messages: [q2],
      system: null,
    });
    expect(newIn(before, [system('b'), q2]).system).toEqual([system('b')]);
    expect(newIn(before, [{ role: 'developer', content: 'a' }, q2]).system).toHaveLength(1);
    expect(newIn(before, [system('a'), system('b'), q2]).system).toHaveLength(2);
  });

  it('that are not sent stay', () => {
    expect(newIn({ ...stored([q1, a1]), system: [system('a')] }, [q2]).system).toBeNull();
  });

  it('in the middle of a conversation do not hide what is stored', () => {
    expect(newIn(stored([q1, a1]), [q1, system('now'), a1, q2])).toMatchObject({
      keeps: 2,
      messages: [q2],
      system: [system('now')],
    });
  });
});

describe('a client', () => {
  const text = fc.constantFrom('a', 'b', 'c');
  const answer = fc.oneof(
    text.map(assistant),
    text.map((name) => tool(name)),
  );
  const asked = fc.array(text.map(user), { minLength: 1, maxLength: 2 });
  const turn = fc.record({
    asked,
    answered: fc.array(answer, { minLength: 1, maxLength: 2 }),
    /** Questions that failed before it, each with whether the client has it. */
    failed: fc.array(fc.record({ asked, isKept: fc.boolean() }), { maxLength: 2 }),
  });
  const turns = fc.array(turn, { minLength: 1, maxLength: 8 });
  const next = fc.array(text.map(user), { minLength: 1 });

  // [SBP-L1-22] [SBP-L1-43]
  it('that resends everything, whatever it kept of failed turns, comes to the same as one that sends only the new', () => {
    fc.assert(
      fc.property(turns, next, (history, fresh) => {
        const before = stored(
          ...history.flatMap((each) => [
            ...each.failed.map((other) => failed(...other.asked)),
            [...each.asked, ...each.answered],
          ]),
        );
        const resent = history.flatMap((each) => [
          ...each.failed.flatMap((other) => (other.isKept ? other.asked : [])),
          ...each.asked,
          ...each.answered,
        ]);
        expect(read(before, [...resent, ...fresh])).toEqual(read(before, fresh));
      }),
      { numRuns: 1_000 },
    );
  });

  // [SBP-L1-22]
  it('that sends the end of the conversation is understood as far as the rule reaches', () => {
    const list = fc.array(fc.oneof(text.map(user), answer), { maxLength: 14 });
    fc.assert(
      fc.property(list, list, fc.nat({ max: 14 }), (messages, incoming, split) => {
        const overlap = naiveOverlap(messages, incoming);
        fc.pre(overlap > 0);
        const both = [messages.slice(0, split), messages.slice(split)];
        const update = read(stored(...both.filter(({ length }) => length > 0)), incoming);
        expect(update.keeps).toBe(messages.length);
        expect(update.messages).toEqual(incoming.slice(overlap));
      }),
      { numRuns: 1_000 },
    );
  });

  // [SBP-L1-65]
  it('that edits or regenerates is sent on as it says', () => {
    fc.assert(
      fc.property(turns, fc.nat(), (history, at) => {
        const whole = history.map((each) => [...each.asked, assistant('only here')]);
        const kept = whole.slice(0, 1 + (at % whole.length)).flat();
        const incoming = [...kept, user('edited')];
        const before = stored(...whole, [user('last'), assistant('last')]);
        expect(conversation(before, read(before, incoming))).toEqual(incoming);
      }),
    );
  });

  it('cannot make the comparison slow by repeating itself', () => {
    const same = Array.from({ length: 5_000 }, () => [q1, a1]);
    const all = same.flat();
    const begun = performance.now();
    expect(read(stored(...same), [...all, q2]).messages).toEqual([q2]);
    expect(read(stored(...same, [q2, a2]), [...all, q1, a1, q2]).belongs).toBe(true);
    expect(read(stored(...same, [q2, a2]), [x, ...all, q2]).belongs).toBe(false);
    const unanswered = same.map(() => failed(q1));
    expect(read(stored(...unanswered, [q1, a1]), [...all, q2]).belongs).toBe(true);
    expect(performance.now() - begun).toBeLessThan(5_000);
  });

  it('that sends its last messages makes the server read no more than those', () => {
    const turns = Array.from({ length: 1_000 }, (_, at) => [user(`q${at}`), assistant(`a${at}`)]);
    const before = stored(...turns);
    expect(read(before, [q1]).keeps).toBe(2_000);
    expect(before.reads()).toBe(0);
    expect(read(before, [...turns.slice(-10).flat(), q1]).messages).toEqual([q1]);
    expect(before.reads()).toBeLessThan(30);
  });
});

/**
 * Rule 2 word by word: the longest end of the stored that the incoming begins with and that holds
 * an answer.
 */
function naiveOverlap(before: readonly Message[], incoming: readonly Message[]): number {
  for (let length = Math.min(before.length, incoming.length); length > 0; length--) {
    const end = before.slice(before.length - length);
    const matches = end.every((message, index) => {
      const other = incoming[index];
      return other !== undefined && messageKey(message) === messageKey(other);
    });
    if (matches && end.some(({ role }) => role !== 'user')) return length;
  }
  return 0;
}
