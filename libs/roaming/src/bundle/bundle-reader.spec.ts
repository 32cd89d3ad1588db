import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { BundlePiece } from './bundle-reader.js';
import { bundlePieces } from './bundle-reader.js';

async function* chunksOf(text: string | Buffer, size: number): AsyncGenerator<Uint8Array> {
  const bytes = Buffer.from(text);
  for (let at = 0; at < bytes.length; at += size) {
    yield await Promise.resolve(bytes.subarray(at, at + size));
  }
}

async function read(text: string | Buffer, size = 7) {
  const pieces: BundlePiece[] = [];
  for await (const piece of bundlePieces(chunksOf(text, size))) pieces.push(piece);
  return {
    messages: pieces.flatMap((piece) => (piece.type === 'message' ? [piece.value] : [])),
    rest: pieces.at(-1)?.value,
  };
}

describe('a bundle that is read as it comes', () => {
  it('is what was written, however it is cut', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.dictionary(fc.string({ unit: 'binary' }), fc.jsonValue())),
        fc.jsonValue(),
        fc.integer({ min: 1, max: 40 }),
        async (messages, other, size) => {
          const text = JSON.stringify({ a: other, messages, z: { messages: ['not these'] } });
          const found = await read(text, size);
          expect(found.messages).toEqual(JSON.parse(JSON.stringify(messages)));
          expect(found.rest).toEqual(
            JSON.parse(JSON.stringify({ a: other, messages: [], z: { messages: ['not these'] } })),
          );
        },
      ),
    );
  });

  it.for([
    ['nothing', ''],
    ['no JSON', 'hello'],
    ['half of one', '{"messages":[{"a":1}'],
    ['a message that is missing', '{"messages":[{},,{}]}'],
    ['text in the middle of a string', '{"messages":[{"a":"'],
    ['a hundred thousand levels', `{"messages":[${'['.repeat(100_000)}`],
    ['as many outside of messages', `{"a":${'{"a":'.repeat(100_000)}`],
  ] as const)('is refused where it is %s', async ([, text]) => {
    await expect(read(text, 1_000)).rejects.toThrow();
  });

  it('is refused where one message is larger than the log takes', async () => {
    const text = `{"messages":["${'x'.repeat(11 * 1024 * 1024)}"]}`;
    await expect(read(text, 64 * 1024)).rejects.toThrow('too large');
  });
});
