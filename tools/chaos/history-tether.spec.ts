import { describe, expect, it } from 'vitest';
import type { ConversationHistory, Rule } from './history.js';
import {
  allowed,
  attached,
  chunk,
  complete,
  connection,
  PING,
  rulesBroken,
  tether,
  textOf,
  turn,
  withConnection,
  withFound,
  withMessages,
} from './testing/example-history.js';

describe('all connections of a session together must not show', () => {
  it.each<[string, Rule, ConversationHistory]>([
    [
      'a turn shown to a surface that the transcript does not have',
      'lost',
      withMessages((all) => all.filter(({ turnId }) => turnId !== 'turn-e')),
    ],
    [
      'turns numbered in another order than the transcript has them',
      'reordered',
      withMessages((all) => [
        ...all.filter(({ turnId }) => turnId !== 'turn-c'),
        ...turn('c', 7_000),
      ]),
    ],
    [
      'a transcript with another text than the surface was shown',
      'altered',
      withMessages((all) => textOf(all, 'turn-b', 'something else')),
    ],
    [
      'live pieces that do not make the committed text',
      'altered',
      withConnection('2', 4_010, [
        'ATTACH_SESSION',
        attached(0),
        chunk('c', 'c-2', 0, 'text'),
        complete('c', 'c-2', 2),
      ]),
    ],
    [
      'a turn shown as failed that completed',
      'altered',
      withConnection('2c', 8_500, [
        'ATTACH_SESSION',
        attached(2),
        { ...tether('d', 3, 0), status: 'failed', content: '' },
      ]),
    ],
    [
      'a turn drained again after the log had its acknowledgement',
      'redrained',
      withConnection('1b', 3_500, ['ATTACH_SESSION', attached(1), tether('b', 1, 0)]),
    ],
    [
      'a turn drained again after an answered DETACH',
      'redrained',
      withConnection('4', 9_100, ['ATTACH_SESSION', attached(1), tether('e', 4, 0)]),
    ],
    [
      'a cursor that went back',
      'redrained',
      {
        ...withConnection('5', 9_200, ['ATTACH_SESSION', attached(4), tether('b', 1, 0)]),
        acknowledged: [],
      },
    ],
    [
      'turns that still wait when all were acknowledged',
      'redrained',
      withFound({ queuedTurns: 1 }),
    ],
    [
      'a number that no surface was shown',
      'gap',
      withConnection('1', 3_000, ['ATTACH_SESSION', attached(1)]),
    ],
    [
      'a drain that leaves out what was not acknowledged',
      'gap',
      withConnection('1', 3_000, ['ATTACH_SESSION', attached(1), tether('b', 1, 0)]),
    ],
    [
      'a PONG that acknowledged what came after its PING',
      'gap',
      withConnection('1', 3_000, [
        'ATTACH_SESSION',
        attached(0),
        PING,
        complete('b', 'b-1', 1),
        'PONG',
      ]),
    ],
    [
      'two turns with one number',
      'conflict',
      withConnection('2c', 8_500, ['ATTACH_SESSION', attached(2), tether('e', 3, 0)]),
    ],
    [
      'one turn with two numbers',
      'conflict',
      withConnection('2c', 8_500, [
        'ATTACH_SESSION',
        attached(2),
        tether('d', 3, 0),
        tether('d', 4, 1),
      ]),
    ],
    [
      'a turn of a vanished caller that no surface was given',
      'undelivered',
      withConnection(
        '3',
        9_000,
        ['ATTACH_SESSION', attached(1), tether('d', 3, 0), PING, 'PONG', 'DETACH'],
        1000,
      ),
    ],
    [
      'a turn of a broken caller that failed and was not reported',
      'undelivered',
      withMessages((all) => [...all, ...turn('f', 7_000, null)]),
    ],
    [
      'a turn that failed without a reason',
      'unexpected',
      {
        ...withMessages((all) => [...all, ...turn('f', 7_000, null)]),
        connections: [
          ...allowed().connections,
          connection('5', 9_200, [
            'ATTACH_SESSION',
            attached(1),
            {
              ...tether('f', 5, 0),
              status: 'failed',
              content: '',
              error: { code: 'SBP_INTERNAL', message: '' },
            },
          ]),
        ],
      },
    ],
  ])('%s (%s)', (_title, rule, history) => {
    expect(rulesBroken(history)).toContain(rule);
  });
});
