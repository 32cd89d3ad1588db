import { array, assert, nat, property, string } from 'fast-check';
import { describe, expect, it } from 'vitest';
import { wholeCodePoints } from './code-points.js';
import { TurnText } from './turn-text.js';

describe('the text of a turn', () => {
  it('reads as one string would, but never ends between the halves of a character', () => {
    const piece = string({ unit: 'binary', maxLength: 20_000, size: 'max' });
    assert(
      property(array(piece, { maxLength: 6 }), nat(40_000), nat(40_000), (pieces, offset, most) => {
        const text = new TurnText();
        for (const each of pieces) text.append(each);
        const whole = pieces.join('');
        expect(text.length).toBe(whole.length);
        expect(text.read(offset, most)).toBe(
          wholeCodePoints(whole.slice(offset, offset + most)).whole,
        );
      }),
    );
  });

  it('reads what was appended token by token', () => {
    const text = new TurnText();
    let whole = '';
    for (let token = 0; token < 20_000; token++) {
      text.append(`${token} `);
      whole += `${token} `;
    }
    for (const offset of [0, 16_383, 16_384, 50_001, whole.length - 1, whole.length]) {
      expect(text.read(offset, 30_000)).toBe(whole.slice(offset, offset + 30_000));
    }
  });
});
