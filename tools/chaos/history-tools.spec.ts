import { describe, expect, it } from 'vitest';
import type { ConversationHistory } from './history.js';
import {
  connection,
  rulesBroken,
  textOf,
  withCall,
  withMessages,
} from './testing/example-history.js';

const CALL = '00000000-0000-4000-8000-000000000001';
const said = (callId: string) =>
  `The answer of surface_counter: “{"told":"${callId}","count":1}”. text c`;

/** The turn `c` has called the tool; its text, and what surfaces were told and gave. */
function called(text: string, made: readonly string[], answered: readonly string[]) {
  const history = withMessages((messages) => textOf(messages, 'turn-c', text));
  const { outcome } = history.calls.find(({ marker }) => marker === 'm-c') ?? {};
  const calls = withCall('c', { toolCalls: 1, outcome: { type: 'vanished' } }).calls;
  const frames = made.map((call_id) => {
    return { type: 'TOOL_CALL', call_id, tool_name: 'counter', tool_input: {} } as const;
  });
  expect(outcome?.type).toBe('answered');
  const others = history.connections.filter(({ id }) => id !== '2');
  const surface = { ...connection('5', 4_020, ['ATTACH_SESSION', ...frames]), answered };
  return { ...history, calls, counted: [...new Set(made)], connections: [...others, surface] };
}
const broken = (history: ConversationHistory) =>
  rulesBroken(history).filter((rule) => ['doubled', 'untold', 'unexpected'].includes(rule));

describe('the checker of calls of tools', () => {
  it('allows what a surface gave, and what says that nothing came', () => {
    expect(broken(called(said(CALL), [CALL], [CALL]))).toEqual([]);
    const cancelled = 'The answer of surface_counter: “{"error":"cancelled"}”.';
    expect(broken(called(cancelled, [CALL], [CALL]))).toEqual([]);
    expect(broken(called("'counter', but no such tool was offered.", [], []))).toEqual([]);
  });

  it('finds a call that was made twice', () => {
    expect(broken(called(said(CALL), [CALL, CALL], [CALL]))).toEqual(['doubled']);
  });

  it('allows a call that waits to be made of one surface after the other', () => {
    const history = called(said(CALL), [CALL], [CALL]);
    const surface = history.connections.at(-1) ?? connection('5', 0, []);
    const again = { ...surface, id: '6', openedAt: 4_500 };
    const both = { ...history, connections: [...history.connections, again] };
    expect(broken(both)).toEqual(['doubled']);
    expect(broken({ ...both, callsWait: true })).toEqual([]);
  });

  it('finds a result that was told twice', () => {
    expect(broken(called(said(CALL) + said(CALL), [CALL], [CALL]))).toEqual(['doubled']);
  });

  it('finds a model that was told nothing', () => {
    expect(broken(called('text c', [CALL], [CALL]))).toEqual(['untold']);
  });

  it('finds a model that was told of one of two calls only', () => {
    const history = called(said(CALL), [CALL], [CALL]);
    const calls = history.calls.map((call) =>
      call.marker === 'm-c' ? { ...call, toolCalls: 2 } : call,
    );
    expect(broken({ ...history, calls })).toEqual(['untold']);
  });

  it('finds a result of another call', () => {
    const counted = ['00000000-0000-4000-8000-000000000002', CALL];
    expect(broken({ ...called(said(CALL), [CALL], [CALL]), counted })).toEqual(['unexpected']);
  });

  it('finds a result that nobody gave', () => {
    expect(broken(called(said(CALL), [CALL], []))).toEqual(['unexpected']);
  });
});
