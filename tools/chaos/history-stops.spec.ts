import { describe, expect, it } from 'vitest';
import type { Call, CallOutcome, ConversationHistory, Rule } from './history.js';
import {
  KILLED_AT,
  allowed,
  attached,
  connection,
  rulesBroken,
  tether,
  turn,
  violations,
  withCall,
} from './testing/example-history.js';

/** Nothing was killed: processes were only asked to stop. */
const NO_KILLS: readonly number[] = [];
const CODE = 'SBP_UPSTREAM_UNAVAILABLE';

function refused(mayRetry: boolean): CallOutcome {
  return { type: 'refused', status: 503, code: CODE, mayRetry };
}

/** The example, in which no process dies: `b` and `f` are told why they are broken off. */
function told(changes: Readonly<Record<string, Partial<Call>>> = {}): ConversationHistory {
  const history = allowed();
  const broken: CallOutcome = { type: 'broken', told: CODE, begun: true };
  const outcomes: Readonly<Record<string, Partial<Call>>> = {
    'm-b': { outcome: broken },
    // It was turned away before it began.
    'm-f': { outcome: refused(true) },
    ...changes,
  };
  return {
    ...history,
    calls: history.calls.map((call) => ({ ...call, ...outcomes[call.marker] })),
  };
}

/** The example with `f` in the session: failed, and shown as that to a surface. */
function failed(outcome: CallOutcome, code: string): ConversationHistory {
  const history = told({ 'm-f': { outcome } });
  const error = { code, message: '' };
  return {
    ...history,
    found: { ...history.found, messages: [...history.found.messages, ...turn('f', 7_000, null)] },
    connections: [
      ...history.connections,
      connection('5', 9_200, [
        'ATTACH_SESSION',
        attached(1),
        { ...tether('f', 5, 0), status: 'failed', content: '', error },
      ]),
    ],
  };
}

/** The example with `f` in the session: completed, and shown to a surface. */
function completed(outcome: CallOutcome): ConversationHistory {
  const history = told({ 'm-f': { outcome } });
  return {
    ...history,
    found: {
      ...history.found,
      messages: [...history.found.messages, ...turn('f', 7_500)],
      stepCount: 6,
    },
    connections: [
      ...history.connections,
      connection('5', 9_200, ['ATTACH_SESSION', attached(1), tether('f', 5, 0)]),
    ],
  };
}

/** The example with `a`, which its caller got before any surface was there, shown to the first. */
function redelivered(): ConversationHistory {
  const history = told();
  const [, ...others] = history.connections;
  const first = connection('1', 3_000, [
    'ATTACH_SESSION',
    attached(2),
    tether('a', 0, 0),
    tether('b', 1, 1),
    { type: 'PING' },
    'PONG',
  ]);
  return { ...history, connections: [first, ...others] };
}

describe('where processes are only asked to stop, the checker accepts', () => {
  it.each<[string, ConversationHistory]>([
    ['a stream that says why it breaks off, and a turn that completes', told()],
    [
      'a caller that is told not to try again, and a turn that completes',
      told({ 'm-b': { outcome: refused(false) } }),
    ],
    [
      'an end of a text behind which the stream says why it breaks off',
      told({ 'm-b': { outcome: { type: 'finished', text: 'text b', told: CODE } } }),
    ],
    [
      'a caller that stopped reading and was cut off',
      told({
        'm-b': { outcome: { type: 'broken', told: null, begun: true }, reading: 'stalling' },
      }),
    ],
    ['a turn that was handed over and completed', completed(refused(false))],
    ['a late start that was cancelled after a 503', failed(refused(true), 'SBP_TURN_CANCELLED')],
  ])('%s', (_title, history) => {
    expect(violations(history, NO_KILLS)).toEqual([]);
  });
});

describe('where processes are only asked to stop, the checker refuses', () => {
  it.each<[string, Rule, ConversationHistory]>([
    [
      'a stream that breaks off without a word',
      'silent',
      told({ 'm-b': { outcome: { type: 'broken', told: null, begun: true } } }),
    ],
    [
      'a slow but steady reader that is cut off',
      'silent',
      told({
        'm-b': { outcome: { type: 'broken', told: null, begun: true }, reading: 'steadily' },
      }),
    ],
    [
      'an end of a text behind which the stream breaks off without a word',
      'silent',
      told({ 'm-b': { outcome: { type: 'finished', text: 'text b', told: null } } }),
    ],
    [
      'a caller that is told to try again, and whose turn completes',
      'misled',
      completed(refused(true)),
    ],
    [
      'a caller that is told not to try again, and that has no turn',
      'lost',
      told({ 'm-f': { outcome: refused(false) } }),
    ],
    [
      'a caller that is told that its turn goes on, and that has none',
      'lost',
      told({ 'm-f': { outcome: { type: 'broken', told: CODE, begun: true } } }),
    ],
    [
      'a turn that ran and is recorded as failed',
      'unexpected',
      failed(refused(false), 'SBP_UPSTREAM_UNAVAILABLE'),
    ],
    [
      'a turn that is given up because it was handed over too often',
      'unexpected',
      failed({ type: 'broken', told: CODE, begun: true }, 'SBP_TURN_ABANDONED'),
    ],
    [
      'a turn of a caller that was left, and that no surface is given',
      'undelivered',
      {
        ...completed(refused(false)),
        connections: told().connections,
      },
    ],
    ['an answer that came in full and is owed all the same', 'redelivered', redelivered()],
  ])('%s (%s)', (_title, rule, history) => {
    expect(rulesBroken(history, NO_KILLS)).toContain(rule);
  });
});

describe('a connection that comes to a server at its end', () => {
  const reset = (begun: boolean): Partial<Call> => ({
    outcome: { type: 'broken', told: null, begun },
  });

  it('may be reset before anything has begun, where no front takes it', () => {
    expect(violations(told({ 'm-f': reset(false) }), NO_KILLS, false)).toEqual([]);
  });

  it.each<[string, ConversationHistory, boolean]>([
    ['where a front takes it', told({ 'm-f': reset(false) }), true],
    ['when an answer has begun', told({ 'm-f': reset(true) }), false],
    ['when its turn has begun', told({ 'm-b': reset(false) }), false],
  ])('is not reset %s', (_title, history, alwaysTaken) => {
    const rules = violations(history, NO_KILLS, alwaysTaken).map(({ rule }) => rule);
    expect(rules).toContain('silent');
  });
});

describe('where processes are killed, the checker accepts', () => {
  it('a stream that breaks off without a word', () => {
    const history = told({ 'm-b': { outcome: { type: 'broken', told: null, begun: true } } });
    expect(violations(history, KILLED_AT)).toEqual([]);
  });

  it('a turn that four deaths made its adopters give up', () => {
    const history = failed({ type: 'broken', told: null, begun: true }, 'SBP_TURN_ABANDONED');
    expect(violations(history, [7_010, 7_020, 7_030, 7_040])).toEqual([]);
    expect(rulesBroken(history, [7_010, 7_020, 7_030])).toContain('unexpected');
  });

  it('an answer that is owed again because its process died before it had noted it', () => {
    expect(rulesBroken(redelivered(), [1_060])).not.toContain('redelivered');
    expect(rulesBroken(redelivered(), [900])).toContain('redelivered');
  });

  it('a turn that completes though its caller was told not to try again', () => {
    expect(violations(withCall('b', { outcome: refused(false) }))).toEqual([]);
  });
});
