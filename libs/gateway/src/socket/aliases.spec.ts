import { describe, expect, it } from 'vitest';
import { ServerFrame } from '#libs/protocol';
import { withAliases } from './aliases.js';

const SESSION = '3f2504e0-4f89-41d3-9a0c-000000000001';
const TURN = '3f2504e0-4f89-41d3-9a0c-000000000003';
const CHUNK = '3f2504e0-4f89-41d3-9a0c-000000000007';
const ended = { number: 7, modelUsed: 'm-1', costUsd: 0.25 };
const running = { number: 7, modelUsed: null, costUsd: null };

const tetherTurn: ServerFrame = {
  ...{ type: 'TETHER_TURN', turn_index: 0, role: 'assistant', content: 'Sunny.' },
  ...{ model_used: 'm-1', created_at: '2026-05-10T15:05:00.000Z', turn_id: TURN, seq: 1 },
  status: 'completed',
};
const chunk: ServerFrame = {
  ...{ type: 'TURN_CHUNK', chunk_id: CHUNK, delta: 'Sun', turn_id: TURN, offset: 0 },
};
const complete: ServerFrame = {
  ...{ type: 'TURN_COMPLETE', chunk_id: CHUNK, turn_id: TURN, seq: 1, status: 'completed' },
};

// [SBP-WS-13]
describe('the second names of fields', () => {
  it.each<[frame: ServerFrame, turn: typeof ended | typeof running | null, more: object]>([
    [tetherTurn, ended, { turn: { role: 'assistant', content: 'Sunny.', model_used: 'm-1' } }],
    [chunk, running, { chunk: 'Sun', content: 'Sun', step: 7, model: null }],
    [chunk, ended, { chunk: 'Sun', content: 'Sun', step: 7, model: 'm-1' }],
    [complete, ended, { step: 7, model: 'm-1', cost_usd: 0.25 }],
    [complete, running, { step: 7, model: null, cost_usd: null }],
    [{ type: 'SESSION_NOT_FOUND', detail: 'no' }, null, {}],
  ])('stand beside the first ones of %o', (frame, turn, more) => {
    const aliased = withAliases(frame, SESSION, turn);
    expect(aliased).toEqual({ ...frame, session_id: SESSION, ...more });
    // The schema knows them all.
    expect(ServerFrame.parse(aliased)).toEqual(aliased);
  });

  it.each<[frame: ServerFrame]>([
    [{ type: 'PING' }],
    [{ type: 'FORBIDDEN', detail: 'no' }],
    [{ type: 'PROTOCOL_ERROR', detail: 'no' }],
  ])('are none of %o', (frame) => {
    expect(withAliases(frame, SESSION, null)).toBe(frame);
  });
});
