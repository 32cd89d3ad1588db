import { describe, expect, it } from 'vitest';
import { assistant } from '#libs/domain/testing';
import type { Message } from '#libs/protocol';
import { endingCalls } from './ending-calls.js';

const calls = (...tool_calls: readonly Record<string, unknown>[]): Message => ({
  ...{ role: 'assistant', content: null },
  tool_calls: [...tool_calls],
});
const call = (name: string) => ({ id: name, type: 'function', function: { name, arguments: '' } });

// [SBP-L2-46]
describe('the calls that a turn ended with', () => {
  it.each<[title: string, output: readonly Message[], names: readonly string[]]>([
    ['nothing', [], []],
    ['words', [assistant('Hi.')], []],
    ['calls', [calls(call('a'), call('b'), call('a'))], ['a', 'b', 'a']],
    ['calls after an answered one', [calls(call('a')), assistant(''), calls(call('b'))], ['b']],
    ['words after a call', [calls(call('a')), assistant('Hi.')], []],
    ['an answer', [calls(call('a')), { role: 'tool', tool_call_id: 'a', content: 'x' }], []],
    ['a custom call', [calls({ type: 'custom', custom: { name: 'a', input: '' } })], ['a']],
    ['calls of nothing', [calls({ id: 'a' }, { function: null }, { function: {} })], []],
  ])('are, of %s, the names of the last message', (_, output, names) => {
    expect(endingCalls(output)).toEqual(names);
  });
});
