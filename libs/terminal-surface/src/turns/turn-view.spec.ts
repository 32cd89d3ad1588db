import type { ServerFrame } from '#libs/protocol';
import { describe, expect, it } from 'vitest';
import { TurnView } from './turn-view.js';

const TURN = '7f3c1f4e-0b1d-4c7e-9a55-2f1f1f5a3c1b';
const ATTEMPT = '11111111-0b1d-4c7e-9a55-2f1f1f5a3c1b';
const NEXT_ATTEMPT = '22222222-0b1d-4c7e-9a55-2f1f1f5a3c1b';

type FrameOf<T> = Extract<ServerFrame, { readonly type: T }>;

function chunk(delta: string, offset: number, chunkId = ATTEMPT): FrameOf<'TURN_CHUNK'> {
  return { type: 'TURN_CHUNK', chunk_id: chunkId, turn_id: TURN, delta, offset };
}

function complete(seq: number, fields: Partial<FrameOf<'TURN_COMPLETE'>> = {}): ServerFrame {
  const ids = { chunk_id: ATTEMPT, turn_id: TURN };
  return { type: 'TURN_COMPLETE', ...ids, seq, status: 'completed', ...fields };
}

function turn(
  seq: number,
  content: string,
  fields: Partial<FrameOf<'TETHER_TURN'>> = {},
): ServerFrame {
  return {
    type: 'TETHER_TURN',
    turn_index: 0,
    role: 'assistant',
    content,
    model_used: null,
    created_at: '2026-05-10T15:05:00.000Z',
    turn_id: TURN,
    seq,
    status: 'completed',
    ...fields,
  };
}

/** What a person sees: notices in brackets. */
function seen(view: TurnView, ...frames: readonly ServerFrame[]): string {
  return frames
    .flatMap((frame) => view.show(frame))
    .map(({ type, text }) => (type === 'notice' ? `[${text}]` : text))
    .join('');
}

describe('what a surface shows', () => {
  it('is a waiting turn, once, however often it comes', () => {
    const view = new TurnView();
    expect(seen(view, turn(1, 'one'), turn(2, 'two'))).toBe('[Turn 1:]one\n[Turn 2:]two\n');
    expect(seen(view, turn(1, 'one'), turn(2, 'two'), turn(3, 'three'))).toBe('[Turn 3:]three\n');
  });

  it('is a live turn as it is made', () => {
    const view = new TurnView();
    expect(seen(view, chunk('Hel', 0), chunk('lo', 3))).toBe('[The model:]Hello');
    expect(seen(view, complete(1), complete(1), turn(1, 'Hello'))).toBe('\n');
  });

  it('goes on in mid-sentence where a connection was lost', () => {
    const view = new TurnView();
    seen(view, chunk('𝒜 Hel', 0));
    expect(seen(view, chunk('𝒜 ', 0), chunk('Hello', 2), chunk(' there', 7))).toBe('lo there');
    expect(seen(view, turn(1, '𝒜 Hello there, you'))).toBe(', you\n');
  });

  it('says that the text begins anew where a turn is made again', () => {
    const view = new TurnView();
    seen(view, chunk('Hel', 0));
    const again = { ...chunk('Good', 0, NEXT_ATTEMPT), replaces: ATTEMPT };
    expect(seen(view, again)).toBe('[-- The turn is made again; the text begins anew:]Good');
    expect(seen(view, turn(1, 'Hi'))).toBe('[-- The text begins anew:]Hi\n');
  });

  it('is how a turn ended, where it did not complete', () => {
    const error = { code: 'SBP_UPSTREAM_ERROR', message: 'It broke' };
    const failed = complete(1, { status: 'failed', error });
    expect(seen(new TurnView(), failed)).toBe(
      '[-- The turn was not completed: It broke (SBP_UPSTREAM_ERROR)]',
    );
    expect(seen(new TurnView(), turn(1, '', { status: 'cancelled' }))).toBe(
      '[Turn 1:][-- The turn was cancelled]',
    );
    expect(seen(new TurnView(), turn(1, 'x', { tool_calls: ['a', 'b'] }))).toBe(
      '[Turn 1:]x[-- It ends with calls of a, b.]\n',
    );
  });

  it('is a call of a tool, on one line', () => {
    const tool_input = { text: 'x'.repeat(400) };
    const text = seen(new TurnView(), {
      type: 'TOOL_CALL',
      call_id: TURN,
      tool_name: 'notify',
      tool_input,
    });
    expect(text).toMatch(/^\[-- The model calls notify \{"text":"x{291}…\]$/);
  });

  it('is a refusal in the words of the server, and no PING', () => {
    const refusal: ServerFrame = { type: 'FORBIDDEN', detail: 'no' };
    expect(seen(new TurnView(), refusal, { type: 'PING' })).toBe('[-- no]');
  });
});
