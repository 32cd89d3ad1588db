import { describe, expect, it } from 'vitest';
import type { Message } from '#libs/protocol';
import { messageKey } from './message-key.js';

const says = (content: Message['content']): Message => ({ role: 'assistant', content });
const asks = (content: Message['content']): Message => ({ role: 'user', content });
const part = (text: string) => ({ type: 'text', text });
const calls = (content: Message['content'], ...ids: readonly string[]): Message => ({
  ...says(content),
  tool_calls: ids.map((id) => ({ id, type: 'function', function: { name: id, arguments: '{}' } })),
});
const tool = (tool_call_id: string, content: string): Message => ({
  role: 'tool',
  tool_call_id,
  content,
});
const image = { type: 'image_url', image_url: { url: 'u', detail: 'low' } };
const turned = { image_url: { detail: 'low', url: 'u' }, type: 'image_url' };

// [SBP-L1-23]
describe('messages are the same', () => {
  it.for<[string, Message, Message]>([
    ['a string and one text part', says('x'), says([part('x')])],
    [
      'a text part whatever the order of its fields',
      says('x'),
      says([{ text: 'x', type: 'text' }]),
    ],
    ['an image whatever the order of its fields', asks([image]), asks([turned])],
    ['null and absent', says(null), { role: 'assistant' }],
    ['null and an empty string', says(null), says('')],
    ['null and an empty text part', says(null), says([part('')])],
    ['null and no parts', says(null), says([])],
    ['an answer without the white space at its end', says('x \n'), says('x')],
    ['white space and nothing, of an answer', says(' \n'), says(null)],
    ['a part without the white space at its end', says([part('x\n')]), says('x')],
    ['results of one call, whatever they hold', tool('c1', 'x'), tool('c1', 'y')],
    ['calls with the same ids, "" where null was', calls(null, 'a', 'b'), calls('', 'a', 'b')],
    ['calls with the same ids, whatever is said', calls('Well.', 'a'), calls(null, 'a')],
    ['an answer without calls and with none', says('x'), { ...says('x'), tool_calls: [] }],
    ['whatever other fields they have', { ...says('x'), name: 'bot', refusal: null }, says('x')],
  ])('%s', ([, one, other]) => {
    expect(messageKey(one)).toBe(messageKey(other));
  });

  it.for<[string, Message, Message]>([
    ['of other roles', says('x'), asks('x')],
    ['with other text', says('x'), says('y')],
    ['with white space before their text', says(' x'), says('x')],
    ['of a user with white space at the end', asks('x '), asks('x')],
    ['in one part and in two', says('xy'), says([part('x'), part('y')])],
    ['with nothing and with text', says(null), says('x')],
    ['that look like the JSON of parts', says('[]'), says(null)],
    ['results of other calls', tool('c1', 'x'), tool('c2', 'x')],
    ['calls of other ids', calls(null, 'a'), calls(null, 'b')],
    ['calls in another order', calls(null, 'a', 'b'), calls(null, 'b', 'a')],
    ['fewer calls', calls(null, 'a', 'b'), calls(null, 'a')],
  ])('not %s', ([, one, other]) => {
    expect(messageKey(one)).not.toBe(messageKey(other));
  });
});
