import { describe, expect, it } from 'vitest';
import type { ConversationHistory, Rule } from './history.js';
import {
  allowed,
  rulesBroken,
  SESSION,
  turn,
  unanswered,
  withCall,
  withFound,
  withMessages,
} from './testing/example-history.js';

describe('the transcript must not have, or lack,', () => {
  it.each<[string, Rule, ConversationHistory]>([
    [
      'an answered turn that is not in the transcript',
      'lost',
      withMessages((all) => all.filter(({ turnId }) => turnId !== 'turn-a')),
    ],
    [
      'an answered turn of which only the question is left',
      'lost',
      withMessages((all) => all.filter((each) => each.turnId !== 'turn-a' || each.role === 'user')),
    ],
    [
      'a text sent to its end whose turn did not complete',
      'lost',
      withCall('f', { outcome: { type: 'finished', text: 'text f', told: null } }),
    ],
    [
      'a request that ran twice',
      'doubled',
      withMessages((all) => [
        ...all,
        ...turn('b', 8_000).map((each) => ({ ...each, turnId: 'turn-b2' })),
      ]),
    ],
    [
      'a turn with two answers',
      'doubled',
      withMessages((all) =>
        all.flatMap((each) =>
          each.turnId === 'turn-b' && each.role === 'assistant' ? [each, each] : [each],
        ),
      ),
    ],
    [
      'a turn with two questions',
      'doubled',
      withMessages((all) =>
        all.flatMap((each) =>
          each.turnId === 'turn-b' && each.role === 'user' ? [each, each] : [each],
        ),
      ),
    ],
    [
      'turns in another order than they were answered in',
      'reordered',
      withMessages((all) => [...all.slice(2), ...all.slice(0, 2)]),
    ],
    [
      'turns that are mixed up with each other',
      'reordered',
      withMessages(([a, b, c, d, ...rest]) =>
        [a, c, b, d, ...rest].filter((each) => each !== undefined),
      ),
    ],
    [
      'a caller that got another text than the transcript has',
      'altered',
      withCall('c', {
        outcome: {
          type: 'answered',
          sessionId: SESSION,
          turnId: 'turn-c',
          text: 'thrown away',
          stepCount: 3,
        },
      }),
    ],
    ['a turn that never ended', 'unended', withFound({ turnInFlight: 'turn-f' })],
    [
      'a caller that was neither answered nor broken off',
      'unended',
      withCall('f', unanswered('f', 7_000, 'forgotten')),
    ],
    [
      'callers of one agent answered in two sessions',
      'conflict',
      withCall('d', {
        outcome: {
          type: 'answered',
          sessionId: 'session-2',
          turnId: 'turn-d',
          text: 'text d',
          stepCount: 4,
        },
      }),
    ],
    [
      'a caller told the wrong step',
      'count',
      withCall('c', {
        outcome: {
          type: 'answered',
          sessionId: SESSION,
          turnId: 'turn-c',
          text: 'text c',
          stepCount: 2,
        },
      }),
    ],
    ['a session with a wrong step_count', 'count', withFound({ stepCount: 6 })],
    [
      'a read that misses an answer given before it',
      'stale',
      { ...allowed(), reads: [{ begunAt: 4_500, turnIds: ['turn-a', 'turn-b'] }] },
    ],
    [
      'a request that was never sent and ran',
      'unexpected',
      withCall('f', { marker: 'm-e', outcome: { type: 'unreached' } }),
    ],
    [
      'a session that cannot be found',
      'unexpected',
      withCall('g', {
        outcome: {
          type: 'refused',
          status: 404,
          code: 'SBP_SESSION_NOT_FOUND',
          mayRetry: false,
        },
      }),
    ],
    [
      'a turn that nobody asked for',
      'unexpected',
      withMessages((all) => [...all, ...turn('z', 7_000)]),
    ],
  ])('%s (%s)', (_title, rule, history) => {
    expect(rulesBroken(history)).toContain(rule);
  });
});

describe('a turn that was accepted', () => {
  const accepted = { type: 'accepted', sessionId: SESSION, turnId: 'turn-c' } as const;

  /** What becomes of `c`, which was asked for in the background. */
  function background(status: string | null, text: string | null): ConversationHistory {
    const history = withCall('c', { manner: 'background', outcome: accepted });
    const turns = status === null ? [] : [{ turnId: 'turn-c', status }];
    const messages = history.found.messages.filter(
      ({ turnId, role }) => turnId !== 'turn-c' || (text !== null && role !== ''),
    );
    return { ...history, found: { ...history.found, turns, messages } };
  }

  it.each<[string, Rule, ConversationHistory]>([
    ['is not there', 'lost', background(null, null)],
    ['waits for ever', 'unended', background('queued', null)],
    ['runs for ever', 'unended', background('running', null)],
    ['completed, and its answer is not there', 'lost', background('completed', null)],
    ['is cancelled, and has an answer', 'uncancelled', background('cancelled', 'text c')],
    ['was cancelled, and nobody had asked for that', 'unexpected', background('cancelled', null)],
  ])('%s (%s)', (_title, rule, history) => {
    expect(rulesBroken(history)).toContain(rule);
  });

  it('completes, and is with its answer in the session', () => {
    const rules = rulesBroken(background('completed', 'text c'));
    for (const rule of ['lost', 'unended', 'unexpected', 'uncancelled'] as const) {
      expect(rules).not.toContain(rule);
    }
  });
});

describe('a caller that does not want to wait', () => {
  const busy = {
    type: 'refused',
    status: 409,
    code: 'SBP_SESSION_CONFLICT',
    mayRetry: false,
  } as const;

  it('is told 409, and has no turn', () => {
    expect(rulesBroken(withCall('c', { manner: 'reject', outcome: busy }))).toContain('misled');
    expect(rulesBroken(withCall('c', { outcome: busy }))).toContain('unexpected');
    expect(rulesBroken(withCall('g', { manner: 'reject', outcome: busy }))).not.toContain('misled');
  });
});

describe('a turn that was read on by its id', () => {
  const read = (turnId: string, text: string, end: 'whole' | 'error' | 'given up') => {
    return { ...allowed(), streams: [{ turnId, text, end }] };
  };

  it.each<[string, Rule, ConversationHistory]>([
    ['said something else', 'altered', read('turn-a', 'text b', 'whole')],
    ['did not end', 'unended', read('turn-a', 'text', 'given up')],
    ['ended as failed, and completed', 'uncancelled', read('turn-a', '', 'error')],
    ['was whole, and is not there', 'lost', read('turn-z', 'text z', 'whole')],
  ])('%s (%s)', (_title, rule, history) => {
    expect(rulesBroken(history)).toContain(rule);
  });

  it('said what was committed', () => {
    expect(rulesBroken(read('turn-a', 'text a', 'whole'))).toEqual([]);
  });
});
