import { expect, it } from 'vitest';
import { isFullyVisible, jsonLine, plainText, shortLine } from './plain-text.js';

it('plain text keeps tabs and line feeds, and no other control character', () => {
  expect(plainText('a\u001b[31mb\u0007\r\n\tc\u009b2Jd\u007f\u0000𝒜')).toBe('a[31mb\n\tc2Jd𝒜');
});

it('a short line has no line feed and tears no character', () => {
  expect(shortLine('one\n\ttwo\u001b', 20)).toBe('one two');
  expect(shortLine('𝒜'.repeat(9), 4)).toBe('𝒜𝒜𝒜𝒜…');
});

it('a line of JSON means the same and has no control character', () => {
  const value = { text: 'a\u001b\u009b\u007f\nb' };
  const line = jsonLine(value);
  expect(line).toBe('{"text":"a\\u001b\\u009b\\u007f\\nb"}');
  expect(JSON.parse(line)).toEqual(value);
});

it.each([
  ['ls -l\n\techo “𝒜”', true],
  ['ls \u001b[8m; rm x', false],
  ['ls \u202e; rm x', false],
  ['ls \u200b', false],
  ['ls \r; rm x', false],
  ['ls \u2028; rm x', false],
])('a person sees all of %j: %s', (text, visible) => {
  expect(isFullyVisible(text)).toBe(visible);
});
