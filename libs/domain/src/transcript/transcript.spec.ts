import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Message } from '#libs/protocol';
import { assistant, user } from '#libs/domain/testing';
import type { StoredTranscript, TranscriptUpdate } from './transcript.js';
import { messageBytes } from './message-bytes.js';
import { turnText, updateTranscript } from './transcript.js';

const system = (content: string): Message => ({ role: 'system', content });
const tool = (tool_call_id: string, content = 'result'): Message => ({
  role: 'tool',
  tool_call_id,
  content,
});

interface Stored extends StoredTranscript {
  readonly messages: readonly Message[];
}

function stored(
  messages: readonly Message[],
  more: Partial<Pick<StoredTranscript, 'system' | 'unanswered'>> = {},
): Stored {
  return {
    system: [],
    unanswered: 0,
    messages,
    count: messages.length,
    bytesOf: (keeps) => messageBytes(messages.slice(0, keeps)),
    tail: (count) => messages.slice(Math.max(0, messages.length - count)),
    ...more,
  };
}

/** The conversation that a turn goes to the model with. */
function conversation(
  before: Stored,
  update: Pick<TranscriptUpdate, 'keeps' | 'messages'>,
): readonly Message[] {
  return [...before.messages.slice(0, update.keeps), ...update.messages];
}

/** As `updateTranscript`, without the bytes that are kept, which are those of what is kept. */
function newIn(before: Stored, incoming: readonly Message[]): Omit<TranscriptUpdate, 'keptBytes'> {
  const { keptBytes, ...update } = updateTranscript(before, incoming);
  expect(keptBytes).toBe(messageBytes(before.messages.slice(0, update.keeps)));
  return update;
}

const [q1, a1, q2, a2, q3] = [
  user('one'),
  assistant('1'),
  user('two'),
  assistant('2'),
  user('three'),
];

// [SBP-L1-21]
describe('messages without any answer in them (rule 1)', () => {
  it('are all new', () => {
    expect(newIn(stored([]), [q1])).toEqual({ keeps: 0, messages: [q1], system: null });
    expect(newIn(stored([q1, a1]), [q2, q3])).toEqual({
      keeps: 2,
      messages: [q2, q3],
      system: null,
    });
  });

  it('are new even where they repeat an answered question', () => {
    expect(newIn(stored([q1, a1]), [q1])).toEqual({
      keeps: 2,
      messages: [q1],
      system: null,
    });
  });

  it('try a turn again that did not complete, where they repeat its messages', () => {
    const failed = stored([q1, a1, q2], { unanswered: 1 });
    expect(newIn(failed, [q2])).toEqual({ keeps: 2, messages: [q2], system: null });
    expect(newIn(stored([q1], { unanswered: 1 }), [q1])).toEqual({
      keeps: 0,
      messages: [q1],
      system: null,
    });
  });

  it('come after the messages of a turn that did not complete, where they are others', () => {
    const failed = stored([q1, a1, q2], { unanswered: 1 });
    expect(newIn(failed, [q3])).toEqual({ keeps: 3, messages: [q3], system: null });
    expect(newIn(failed, [q2, q3])).toEqual({
      keeps: 3,
      messages: [q2, q3],
      system: null,
    });
    expect(newIn(stored([q1, q2], { unanswered: 2 }), [q2]).keeps).toBe(2);
  });

  it('may be none', () => {
    expect(newIn(stored([q1, a1]), [])).toEqual({
      keeps: 2,
      messages: [],
      system: null,
    });
  });
});

// [SBP-L1-22]
describe('messages with an answer in them (rule 2)', () => {
  it('are new from where the stored transcript ends', () => {
    expect(newIn(stored([q1, a1]), [q1, a1, q2])).toEqual({
      keeps: 2,
      messages: [q2],
      system: null,
    });
    expect(newIn(stored([q1, a1, q2, a2]), [a2, q3])).toEqual({
      keeps: 4,
      messages: [q3],
      system: null,
    });
    expect(newIn(stored([q1, a1, q2, a2]), [q2, a2, q3])).toMatchObject({
      keeps: 4,
      messages: [q3],
    });
  });

  it('are all appended where they do not go on from it', () => {
    const edited = [q1, assistant('another'), q2];
    expect(newIn(stored([q1, a1]), edited)).toEqual({
      keeps: 2,
      messages: edited,
      system: null,
    });
    expect(newIn(stored([]), edited)).toEqual({
      keeps: 0,
      messages: edited,
      system: null,
    });
  });

  it('do not overlap by questions alone', () => {
    const incoming = [q2, assistant('guess'), q3];
    expect(newIn(stored([q1, a1, q2], { unanswered: 1 }), incoming)).toMatchObject({
      messages: incoming,
    });
  });

  it('that repeat all of a turn that did not complete try it again', () => {
    const failed = stored([q1, a1, q2], { unanswered: 1 });
    expect(conversation(failed, newIn(failed, [q1, a1, q2]))).toEqual([q1, a1, q2]);
  });

  it('overlap as far as they can', () => {
    const again = [q1, a1, q1, a1];
    expect(newIn(stored(again), [q1, a1, q1, a1, q2])).toMatchObject({
      keeps: 4,
      messages: [q2],
    });
    expect(newIn(stored(again), [q1, a1, q2])).toMatchObject({
      keeps: 4,
      messages: [q2],
    });
  });
});

// [SBP-L1-23]
describe('messages are the same', () => {
  const same = (one: Message, other: Message): boolean =>
    newIn(stored([q1, one]), [q1, other, q2]).messages.length === 1;

  it('where a string equals one text part', () => {
    expect(
      same(assistant('x'), { role: 'assistant', content: [{ type: 'text', text: 'x' }] }),
    ).toBe(true);
    expect(
      same(assistant('x'), { role: 'assistant', content: [{ text: 'x', type: 'text' }] }),
    ).toBe(true);
    expect(
      same(assistant('xy'), {
        role: 'assistant',
        content: [
          { type: 'text', text: 'x' },
          { type: 'text', text: 'y' },
        ],
      }),
    ).toBe(false);
  });

  it('where null equals absent', () => {
    expect(same({ role: 'assistant', content: null }, { role: 'assistant' })).toBe(true);
    expect(same({ role: 'assistant', content: null }, assistant('x'))).toBe(false);
  });

  it('where tool messages answer the same call, whatever they hold', () => {
    expect(same(tool('c1', 'x'), tool('c1', 'y'))).toBe(true);
    expect(same(tool('c1', 'x'), tool('c2', 'x'))).toBe(false);
  });

  it('by role and content, other fields aside', () => {
    expect(same({ ...a1, name: 'bot', refusal: null }, a1)).toBe(true);
    expect(same(a1, { ...a1, role: 'function' })).toBe(false);
    expect(
      same(assistant('["x"]'), { role: 'assistant', content: [{ type: 'text', text: '["x"' }] }),
    ).toBe(false);
  });

  it('where their parts are, in whatever order their fields come', () => {
    const image = { type: 'image_url', image_url: { url: 'u', detail: 'low' } };
    const turned = { image_url: { detail: 'low', url: 'u' }, type: 'image_url' };
    expect(
      same({ role: 'assistant', content: [image] }, { role: 'assistant', content: [turned] }),
    ).toBe(true);
  });
});

// [SBP-L1-24]
describe('system and developer messages', () => {
  it('are set aside, and replace the stored ones where they differ', () => {
    expect(newIn(stored([]), [system('a'), q1])).toEqual({
      keeps: 0,
      messages: [q1],
      system: [system('a')],
    });
    const before = stored([q1, a1], { system: [system('a')] });
    expect(newIn(before, [system('a'), q1, a1, q2])).toEqual({
      keeps: 2,
      messages: [q2],
      system: null,
    });
    expect(newIn(before, [system('b'), q2]).system).toEqual([system('b')]);
    expect(newIn(before, [{ role: 'developer', content: 'a' }, q2]).system).toHaveLength(1);
    expect(newIn(before, [system('a'), system('b'), q2]).system).toHaveLength(2);
  });

  it('that are not sent stay', () => {
    expect(newIn(stored([q1, a1], { system: [system('a')] }), [q2]).system).toBeNull();
  });

  it('in the middle of a conversation do not hide what is stored', () => {
    expect(newIn(stored([q1, a1]), [q1, system('now'), a1, q2])).toEqual({
      keeps: 2,
      messages: [q2],
      system: [system('now')],
    });
  });
});

describe('a client', () => {
  const text = fc.constantFrom('a', 'b', 'c');
  const turn = fc.record({
    asked: fc.array(text.map(user), { minLength: 1, maxLength: 2 }),
    answered: fc.array(
      fc.oneof(
        text.map(assistant),
        text.map((name) => tool(name)),
      ),
      { minLength: 1, maxLength: 2 },
    ),
  });

  // [SBP-L1-22]
  it('that resends everything with something new comes to the same as one that sends only the new', () => {
    fc.assert(
      fc.property(
        fc.array(turn, { minLength: 1, maxLength: 8 }),
        fc.array(text.map(user), { minLength: 1 }),
        (turns, next) => {
          const before = stored(turns.flatMap(({ asked, answered }) => [...asked, ...answered]));
          const resent = newIn(before, [...before.messages, ...next]);
          const alone = newIn(before, next);
          expect(conversation(before, resent)).toEqual(conversation(before, alone));
          expect(resent).toEqual(alone);
        },
      ),
      { numRuns: 500 },
    );
  });

  it('that sends the end of the conversation is understood as far as the rule reaches', () => {
    const any = fc.oneof(
      text.map(user),
      text.map(assistant),
      text.map((name) => tool(name)),
    );
    const list = fc.array(any, { maxLength: 14 });
    fc.assert(
      fc.property(list, list, (messages, incoming) => {
        fc.pre(incoming.some(({ role }) => role !== 'user'));
        const update = newIn(stored(messages), incoming);
        const overlap = naiveOverlap(messages, incoming);
        expect(update.keeps).toBe(messages.length);
        expect(update.messages).toEqual(incoming.slice(overlap));
      }),
      { numRuns: 3_000 },
    );
  });

  it('cannot make the comparison slow by repeating itself', () => {
    const same = Array.from({ length: 10_000 }, () => q1);
    const { messages } = newIn(stored([...same, a1]), [...same, q1, a1]);
    expect(messages).toHaveLength(10_002);
    expect(newIn(stored([...same, a1, ...same]), [...same, a1, ...same, q2]).messages).toEqual([
      q2,
    ]);
  });
});

/**
 * Rule 2 word by word: the longest end of the stored that the incoming begins with and that holds
 * an answer.
 */
function naiveOverlap(before: readonly Message[], incoming: readonly Message[]): number {
  const key = (message: Message | undefined): string =>
    message?.role === 'tool'
      ? `tool ${message.tool_call_id ?? ''}`
      : JSON.stringify([message?.role, message?.content]);
  for (let length = Math.min(before.length, incoming.length); length > 0; length--) {
    const end = before.slice(before.length - length);
    const matches = end.every((message, index) => key(message) === key(incoming[index]));
    if (matches && end.some(({ role }) => role !== 'user')) return length;
  }
  return 0;
}

describe('the text of a turn', () => {
  it('is what its assistant messages say, joined', () => {
    expect(turnText([])).toBe('');
    expect(
      turnText([
        assistant('a'),
        tool('c1', 'no'),
        { role: 'assistant', content: null },
        {
          role: 'assistant',
          content: [{ type: 'text', text: 'b' }, { type: 'image_url' }, { type: 'text', text: 7 }],
        },
        { role: 'assistant' },
      ]),
    ).toBe('ab');
  });
});
