import { describe, expect, it } from 'vitest';
import type { Call, Cancellation, ConversationHistory } from './history.js';
import { allowed, rulesBroken, turn } from './testing/example-history.js';

const CODE = 'SBP_TURN_CANCELLED';
const told = (name: string, status: 'completed' | 'cancelled'): Cancellation => ({
  begunAt: 7_010,
  told: { turnId: `turn-${name}`, status },
});

/** The example with `f` in the session, without an answer unless it has one. */
function withStopped(
  outcome: Call['outcome'],
  cancellations: readonly Cancellation[],
  text: string | null = null,
): ConversationHistory {
  const history = allowed();
  const { found } = history;
  return {
    ...history,
    cancellations,
    calls: history.calls.map((call) => (call.marker === 'm-f' ? { ...call, outcome } : call)),
    found: {
      ...found,
      messages: [...found.messages, ...turn('f', 7_500, text)],
      stepCount: found.stepCount + (text === null ? 0 : 1),
    },
  };
}

const broken = { type: 'broken', told: CODE, begun: true } as const;
const refused = { type: 'refused', status: 409, code: CODE, mayRetry: false } as const;

describe('a turn that is cancelled', () => {
  it.each([broken, refused])('is allowed, where its caller is told so: $type', (outcome) => {
    expect(rulesBroken(withStopped(outcome, [told('f', 'cancelled')]))).toEqual([]);
    // Whoever cancelled it may not have heard of it.
    expect(rulesBroken(withStopped(outcome, [{ begunAt: 7_010, told: null }]))).toEqual([]);
  });

  it('may have ended before', () => {
    const history = { ...allowed(), cancellations: [told('a', 'completed')] };
    expect(rulesBroken(history)).toEqual([]);
  });

  it.each([
    [
      'completed in the session, though its caller was told that it was cancelled',
      withStopped(broken, [told('f', 'completed')], 'text f'),
      'uncancelled',
    ],
    [
      'completed in the session, though whoever cancelled it was told that it was',
      { ...allowed(), cancellations: [told('a', 'cancelled')] },
      'uncancelled',
    ],
    [
      'without an answer, though whoever cancelled it was told that it had completed',
      withStopped(broken, [told('f', 'completed')]),
      'uncancelled',
    ],
    ['not in the session', { ...allowed(), cancellations: [told('x', 'cancelled')] }, 'lost'],
    ['one that nobody cancelled', withStopped(broken, []), 'unexpected'],
  ])('is not %s', (_what, history, rule) => {
    expect(rulesBroken(history)).toContain(rule);
  });
});
