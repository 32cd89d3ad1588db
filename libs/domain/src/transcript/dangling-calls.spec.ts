import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Message } from '#libs/protocol';
import { assistant, user } from '#libs/domain/testing';
import { danglingCalls } from './dangling-calls.js';
import { callIds } from './message-key.js';

const calls = (ids: readonly string[], content: string | null = null): Message => ({
  role: 'assistant',
  content,
  tool_calls: ids.map((id) => ({ id, type: 'function' })),
});
const tool = (tool_call_id: string): Message => ({ role: 'tool', tool_call_id, content: 'done' });
const [q, a] = [user('q'), assistant('a')];

/** What a model is sent. */
function sent(messages: readonly Message[]): readonly Message[] {
  const { replaced } = danglingCalls(messages);
  return messages.flatMap((message, place) => {
    const other = replaced.get(place);
    if (other === undefined) return [message];
    return other === null ? [] : [other];
  });
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
      'go each by itself',
      [calls(['c']), q, calls(['c']), tool('c'), q],
      [q, calls(['c']), tool('c'), q],
    ],
  ])('%s', ([, messages, expected]) => {
    expect(sent(messages)).toEqual(expected.length === 0 ? messages : expected);
  });

  it('are open from the last message that makes some', () => {
    expect(danglingCalls([q, calls(['c', 'd']), tool('c')]).openFrom).toBe(1);
    expect(danglingCalls([q, calls(['c']), tool('c')]).openFrom).toBe(3);
    expect(danglingCalls([calls(['c']), q, calls(['d'])]).openFrom).toBe(2);
    expect(danglingCalls([]).openFrom).toBe(0);
  });

  const id = fc.constantFrom('c', 'd', 'e');
  const message = fc.oneof(
    fc.constantFrom(q, a),
    fc.uniqueArray(id, { minLength: 1 }).map((ids) => calls(ids)),
    id.map(tool),
  );
  const list = fc.array(message, { maxLength: 20 });

  it('never stand before a message that answers none', () => {
    fc.assert(
      fc.property(list, (messages) => {
        let missing: string[] = [];
        for (const each of [...sent([...messages, q])]) {
          if (each.role === 'tool') {
            missing = missing.filter((call) => call !== each.tool_call_id);
          } else {
            expect(missing).toEqual([]);
            missing = [...callIds(each)];
          }
        }
      }),
    );
  });

  it('can be looked for piece by piece, each from where the last one is open', () => {
    fc.assert(
      fc.property(list, list, (before, after) => {
        const { openFrom } = danglingCalls(before);
        const pieces = [
          ...sent(before.slice(0, openFrom).concat(q)).slice(0, -1),
          ...sent([...before.slice(openFrom), ...after]),
        ];
        // Answers that come after all are no part of any call.
        fc.pre(openFrom < before.length || after[0]?.role !== 'tool');
        expect(pieces).toEqual(sent([...before, ...after]));
      }),
    );
  });
});
