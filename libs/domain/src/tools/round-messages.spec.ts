import { calling } from '#libs/domain/testing';
import { describe, expect, it } from 'vitest';
import type { ReturnedCall } from './round-messages.js';
import { roundMessages } from './round-messages.js';

const call: ReturnedCall = {
  ...{ toolName: 'gps', refusal: null, outcome: 'result', result: null, error: null },
};
const image = { type: 'image', mimeType: 'image/png', data: 'AAAA' };
const text = (said: string) => ({ type: 'text', text: said });

function told(more: Partial<ReturnedCall>, showsImages = false) {
  const calls = [{ ...call, ...more }];
  return roundMessages({ message: calling(['1']), showsImages, calls }).slice(1);
}

// [SBP-L5-08]
describe('what a model is told of a call', () => {
  it.each<[string, Partial<ReturnedCall>, string]>([
    ['a text', { result: 'here' }, 'here'],
    ['nothing', { result: null }, 'null'],
    ['a number', { result: 5 }, '5'],
    ['an object', { result: { lat: 1 } }, '{"lat":1}'],
    ['an object whose content is its own', { result: { content: [1] } }, '{"content":[1]}'],
    ['texts of MCP', { result: { content: [text('a'), text('b')] } }, 'a\nb'],
    ['an error of MCP', { result: { content: [text('a')], isError: true } }, '{"error":"a"}'],
    [
      'what MCP has structured',
      { result: { content: [], structuredContent: { a: 1 } } },
      '{"a":1}',
    ],
    [
      'an image that it is not shown',
      { result: { content: [image] } },
      '[image, image/png, 3 bytes, that you cannot be shown]',
    ],
    [
      'a resource',
      { result: { content: [{ type: 'resource', resource: { text: 'A file.' } }] } },
      'A file.',
    ],
    [
      'a resource that is no text',
      { result: { content: [{ type: 'resource', resource: { uri: 'a', blob: 'AAAA' } }] } },
      '{"uri":"a"}',
    ],
    ['an error', { outcome: 'error', error: 'In use.' }, '{"error":"In use."}'],
    ['a time that is over', { outcome: 'timeout' }, '{"error":"timeout"}'],
    ['a call that was not sent', { outcome: 'error', refusal: 'None.' }, '{"error":"None."}'],
  ])('is %s', (_, more, content) => {
    expect(told(more)).toEqual([{ role: 'tool', tool_call_id: 'm-1', content }]);
  });

  it('is an image in a message behind all answers, where it is shown images', () => {
    const calls = [
      { ...call, result: { content: [text('a'), image] } },
      { ...call, result: { content: [image, { ...image, data: 'no base64!' }] } },
    ];
    const messages = roundMessages({ message: calling(['1', '2']), showsImages: true, calls });
    const url = { image_url: { url: 'data:image/png;base64,AAAA' } };
    expect(messages).toMatchObject([
      { role: 'assistant' },
      { tool_call_id: 'm-1', content: 'a\n[image 1 of gps, shown below]' },
      { tool_call_id: 'm-2', content: expect.stringMatching(/^\[image 1 .*\n\[image, /) as string },
      { role: 'user', content: [{ type: 'text' }, url, url] },
    ]);
  });
});
