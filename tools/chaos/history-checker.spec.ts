import { describe, expect, it } from 'vitest';
import type { ConversationHistory } from './history.js';
import {
  allowed,
  attached,
  PING,
  tether,
  violations,
  withCall,
  withConnection,
} from './testing/example-history.js';

describe('the history checker accepts', () => {
  it('lost and repeated work that nobody was promised', () => {
    expect(violations(allowed())).toEqual([]);
  });

  it.each<[string, ConversationHistory]>([
    [
      'an unacknowledged turn that comes again and again',
      withConnection('2b', 8_500, ['ATTACH_SESSION', attached(2), tether('d', 3, 0)]),
    ],
    [
      'a drain that the connection did not live to see the end of',
      withConnection('2b', 8_500, ['ATTACH_SESSION', attached(2)]),
    ],
    [
      'a caller told 503 before the start, whose turn never ran',
      withCall('g', {
        outcome: {
          type: 'refused',
          status: 503,
          code: 'SBP_UPSTREAM_UNAVAILABLE',
          mayRetry: true,
        },
      }),
    ],
    [
      'a stream that broke after the end of its text',
      withCall('b', { outcome: { type: 'finished', text: 'text b', told: null } }),
    ],
    [
      'an acknowledgement that did not reach the log',
      {
        ...withConnection('2b', 8_500, [
          'ATTACH_SESSION',
          attached(2),
          tether('d', 3, 0),
          tether('e', 4, 1),
          PING,
          'PONG',
        ]),
        acknowledged: [],
      },
    ],
  ])('%s', (_title, history) => {
    expect(violations(history)).toEqual([]);
  });
});
