import { describe, expect, it } from 'vitest';
import { assistant } from '#libs/domain/testing';
import { turnText } from './turn-text.js';

describe('the text of a turn', () => {
  it('is what its assistant messages say, joined', () => {
    expect(turnText([])).toBe('');
    expect(
      turnText([
        assistant('a'),
        { role: 'tool', tool_call_id: 'c1', content: 'no' },
        { role: 'assistant', content: null },
        {
          role: 'assistant',
          content: [{ type: 'text', text: 'b' }, { type: 'image_url' }, { type: 'text', text: 7 }],
        },
        { role: 'assistant' },
      ]),
    ).toBe('ab');
  });
});
