import { describe, expect, it } from 'vitest';
import type { ConversationHistory, Rule } from './history.js';
import {
  attached,
  chunk,
  complete,
  PING,
  rulesBroken,
  tether,
  withConnection,
} from './testing/example-history.js';

describe('a connection must not show', () => {
  it.each<[string, Rule, ConversationHistory]>([
    [
      'a number left out on a connection',
      'gap',
      withConnection('2', 4_010, [
        'ATTACH_SESSION',
        attached(0),
        chunk('d', 'd-1', 0, 'text d'),
        complete('d', 'd-1', 3),
        complete('f', 'f-1', 5),
      ]),
    ],
    [
      'a number lower than the one before it',
      'reordered',
      withConnection('1', 3_000, [
        'ATTACH_SESSION',
        attached(2),
        tether('c', 2, 0),
        tether('b', 1, 1),
      ]),
    ],
    [
      'fewer TETHER_TURN than announced',
      'drain',
      withConnection('1', 3_000, ['ATTACH_SESSION', attached(2), tether('b', 1, 0), PING, 'PONG']),
    ],
    [
      'more TETHER_TURN than announced',
      'drain',
      withConnection('1', 3_000, ['ATTACH_SESSION', attached(0), tether('b', 1, 0), PING, 'PONG']),
    ],
    [
      'a TETHER_TURN with a wrong index',
      'drain',
      withConnection('1', 3_000, ['ATTACH_SESSION', attached(1), tether('b', 1, 1), PING, 'PONG']),
    ],
    [
      'a turn before SESSION_ATTACHED',
      'drain',
      withConnection('1', 3_000, ['ATTACH_SESSION', tether('b', 1, 0), attached(0), PING, 'PONG']),
    ],
    [
      'live text with a hole',
      'chunks',
      withConnection('2c', 8_500, [
        'ATTACH_SESSION',
        attached(0),
        chunk('f', 'f-1', 0, 'ab'),
        chunk('f', 'f-1', 3, 'c'),
      ]),
    ],
    [
      'live text that begins in the middle',
      'chunks',
      withConnection('2c', 8_500, ['ATTACH_SESSION', attached(0), chunk('f', 'f-1', 3, 'c')]),
    ],
    [
      'an attempt that does not say what it replaces',
      'chunks',
      withConnection('2c', 8_500, [
        'ATTACH_SESSION',
        attached(0),
        chunk('f', 'f-1', 0, 'ab'),
        chunk('f', 'f-2', 0, 'c'),
      ]),
    ],
    [
      'live text after the end of its turn',
      'chunks',
      withConnection('2c', 8_500, [
        'ATTACH_SESSION',
        attached(2),
        tether('d', 3, 0),
        tether('e', 4, 1),
        chunk('e', 'e-2', 0, 'c'),
      ]),
    ],
    [
      'a surface refused for no reason',
      'unexpected',
      withConnection(
        '2c',
        8_500,
        ['ATTACH_SESSION', { type: 'SESSION_NOT_FOUND', detail: '' }],
        4004,
      ),
    ],
  ])('%s (%s)', (_title, rule, history) => {
    expect(rulesBroken(history)).toContain(rule);
  });
});
