import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Message } from '#libs/protocol';
import { assistant, user } from '#libs/domain/testing';
import { sentMessages } from './dangling-calls.js';
import { callIds } from './message-key.js';

const calls = (ids: readonly string[], content: string | null = null): Message => ({
  role: 'assistant',
  content,
  tool_calls: ids.map((id) => ({ id, type: 'function' })),
});
const tool = (tool_call_id: string): Message => ({ role: 'tool', tool_call_id, content: 'done' });
const [q, a] = [user('q'), assistant('a')];

/** What a model is sent. */
function sent(messages: readonly Message[], stored = messages.length): readonly Message[] {
  return sentMessages(messages, stored).sent.flatMap((each) =>
    typeof each === 'number' ? (messages[each] ?? []) : [each],
  );
}

// [SBP-L1-29]
describe('tool calls that nobody answered', () => {
  it.for<[string, readonly Message[], readonly Message[]]>([
    ['go with their message where it says nothing', [q, calls(['c']), q], [q, q]],
    ['leave what their message says', [q, calls(['c'], 'Well.'), q], [q, assistant('Well.'), q]],
    ['go before an answer too', [calls(['c']), a], [a]],
    [
      'go where others of their message were answered',
      [calls(['c', 'd', 'e']), tool('d'), q],
      [calls(['d']), tool('d'), q],
    ],
    ['stay where nothing follows: they may still be answered', [calls(['c', 'd']), tool('c')], []],
    ['that were all answered stay', [calls(['c', 'd']), tool('d'), tool('c'), q], []],
    [
      'are answered before what a user said meanwhile',
      [q, calls(['c', 'd']), tool('d'), q, tool('c'), a],
      [q, calls(['c', 'd']), tool('d'), tool('c'), q, a],
    ],
    ['take a late answer with them', [q, calls(['c']), q, a, tool('c'), q], [q, q, a, q]],
    ['are answered once', [calls(['c']), tool('c'), tool('c'), a], [calls(['c']), tool('c'), a]],
    [
      'go each by itself',
      [calls(['c']), q, calls(['c']), tool('c'), q],
      [q, calls(['c']), tool('c'), q],
    ],
  ])('%s', ([, messages, expected]) => {
    expect(sent(messages)).toEqual(expected.length === 0 ? messages : expected);
  });

  it('are open from the last message that makes some', () => {
    const openFrom = (...messages: readonly Message[]) => {
      return sentMessages(messages, messages.length).openFrom;
    };
    expect(openFrom(q, calls(['c', 'd']), tool('c'))).toBe(1);
    expect(openFrom(q, calls(['c', 'd']), tool('c'), q)).toBe(1);
    expect(openFrom(q, calls(['c']), tool('c'))).toBe(3);
    expect(openFrom(calls(['c']), q, calls(['d']))).toBe(2);
    expect(openFrom()).toBe(0);
  });

  it('leave an answer without its call that was just sent to be refused by the model', () => {
    expect(sent([q, a, tool('c')], 2)).toEqual([q, a, tool('c')]);
    expect(sent([q, a, tool('c')], 3)).toEqual([q, a]);
  });

  const id = fc.constantFrom('c', 'd', 'e');
  const message = fc.oneof(
    fc.constantFrom(q, a),
    fc.uniqueArray(id, { minLength: 1 }).map((ids) => calls(ids)),
    id.map(tool),
  );
  const list = fc.array(message, { maxLength: 20 });

  it('never stand without their answers, nor answers without them', () => {
    fc.assert(
      fc.property(list, (messages) => {
        let missing: string[] = [];
        for (const each of sent([...messages, q])) {
          if (each.role === 'tool') {
            expect(missing).toContain(each.tool_call_id);
            missing = missing.filter((call) => call !== each.tool_call_id);
          } else {
            expect(missing).toEqual([]);
            missing = [...callIds(each)];
          }
        }
        expect(missing).toEqual([]);
      }),
    );
  });

  it('can be looked for piece by piece, each from where the last one is open', () => {
    fc.assert(
      fc.property(list, list, (before, after) => {
        const { openFrom, settled } = sentMessages(before, before.length);
        const pieces = [
          ...sent(before).slice(0, settled),
          ...sent([...before.slice(openFrom), ...after]),
        ];
        expect(pieces).toEqual(sent([...before, ...after]));
      }),
    );
  });
});
