import { array, assert, constantFrom, property, string } from 'fast-check';
import { describe, expect, it } from 'vitest';
import { wholeCodePoints } from './code-points.js';
import { EMPTY_TEXT, beginsWith, extended } from './text-digest.js';

const text = string({ unit: 'binary' });

describe('code points', () => {
  it('are counted as iterating a string counts them, however it came', () => {
    assert(
      property(array(text), (pieces) => {
        const digest = pieces.reduce((so, piece) => extended(so, piece), EMPTY_TEXT);
        expect(digest.codePoints).toBe(Array.from(pieces.join('')).length);
        expect(digest.units).toBe(pieces.join('').length);
      }),
    );
  });

  it('are not torn apart', () => {
    expect(wholeCodePoints('a\ud83d')).toEqual({ whole: 'a', half: '\ud83d' });
    expect(wholeCodePoints('a\ud83d\udc4b')).toEqual({ whole: 'a\ud83d\udc4b', half: '' });
    expect(wholeCodePoints('')).toEqual({ whole: '', half: '' });
  });
});

describe('the digest of a text', () => {
  it('tells whether another text begins with it', () => {
    // Few characters and short texts, so that some of them are alike.
    const short = string({ unit: constantFrom('a', 'b', '\0', '👋'), maxLength: 4 });
    assert(
      property(array(short, { maxLength: 3 }), short, short, (pieces, same, other) => {
        const digest = pieces.reduce((so, piece) => extended(so, piece), EMPTY_TEXT);
        const beginning = pieces.join('');
        for (const whole of [beginning + same, other, other + same])
          expect(beginsWith(whole, digest)).toBe(whole.startsWith(beginning));
      }),
      { numRuns: 2000 },
    );
  });

  it('tells texts apart in which any one bit differs', () => {
    const base = 'The quick brown fox jumps over the lazy dog.';
    const digest = extended(EMPTY_TEXT, base);
    for (let index = 0; index < base.length; index++) {
      for (let bit = 0; bit < 16; bit++) {
        const unit = String.fromCharCode(base.charCodeAt(index) ^ (1 << bit));
        expect(beginsWith(base.slice(0, index) + unit + base.slice(index + 1), digest)).toBe(false);
      }
    }
  });
});
