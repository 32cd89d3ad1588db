import { describe, expect, it } from 'vitest';
import { PromptSizes, promptSize } from './prompt-sizes.js';

const usage = (prompt_tokens: number) => ({ prompt_tokens, completion_tokens: 1 });
const text = (bytes: number, mediaTokens = 0) => ({ bytes, mediaTokens });
/** Tokens that a thousand bytes of text are taken for. */
const tokens = (sizes: PromptSizes, model = 'm') => sizes.tokensOf(model, text(1_000));
const part = (type: string, what: object | string) => JSON.stringify([{ type, [type]: what }]);

// [SBP-L1-82]
describe('the size of a prompt', () => {
  it('is estimated cautiously before anything is known of a model', () => {
    // English text has about four bytes for a token.
    expect(tokens(new PromptSizes())).toBeGreaterThan(250);
  });

  it('is learnt: at once where prompts are larger than was thought, slowly where smaller', () => {
    const sizes = new PromptSizes();
    sizes.learn('m', text(2_000), 1_000, usage(1_000));
    expect(tokens(sizes)).toBe(500);
    sizes.learn('m', text(4_000), 1_000, usage(1_000));
    expect(tokens(sizes)).toBeCloseTo(1_000 / 2.2);
    for (let call = 0; call < 100; call++) sizes.learn('m', text(4_000), 1_000, usage(1_000));
    expect(tokens(sizes)).toBeCloseTo(250, 0);
    expect(tokens(sizes, 'other')).toBe(400);
  });

  it('is not learnt from prompts that are short for the limit, from estimates, or without measure', () => {
    const sizes = new PromptSizes();
    sizes.learn('m', text(10), 1_000, usage(249));
    sizes.learn('m', text(1_000), 1_000, null);
    sizes.learn('m', text(1_000), 1_000, { ...usage(1_000), estimated: true });
    expect(tokens(sizes)).toBe(400);
    sizes.learn('m', text(10), 1_000, usage(1_000));
    expect(tokens(sizes)).toBe(1_000);
  });

  it('is not learnt to be smaller from images that are cheap, but larger from dear ones', () => {
    const sizes = new PromptSizes();
    sizes.learn('m', text(4_000, 20_000), 1_000, usage(1_000));
    expect(tokens(sizes)).toBe(400);
    sizes.learn('m', text(4_000, 2_000), 1_000, usage(5_000));
    expect(tokens(sizes)).toBe(750);
  });

  it('remembers a bounded number of models, the latest', () => {
    const sizes = new PromptSizes();
    for (let model = 0; model < 300; model++) {
      sizes.learn(String(model), text(1_000), 1_000, usage(1_000));
    }
    expect(tokens(sizes, '0')).toBe(400);
    expect(tokens(sizes, '299')).toBe(1_000);
  });

  it('takes an image for the same, however long its data is, or its address', () => {
    const image = (url: string) =>
      promptSize(part('image_url', { detail: 'low', url })).mediaTokens;
    const data = (length: number) => `data:image/png;base64,${'A'.repeat(length)}`;
    expect(image(data(10))).toBeGreaterThan(500);
    expect(image(data(1_000_000))).toBe(image(data(10)));
    expect(image('https://example.com/i.png')).toBe(image(data(10)));
    expect(promptSize(part('image_url', data(1_000_000)))).toMatchObject({ mediaTokens: 2_000 });
    expect(promptSize(part('image_url', { url: data(1_000_000) })).bytes).toBeLessThan(100);
    const two = `[${part('image_url', { url: 'https://a/b' })},${part('image_url', { url: data(9) })}]`;
    expect(promptSize(two).mediaTokens).toBe(2 * image(data(10)));
  });

  it('grows with a file', () => {
    const file = (length: number) => {
      const file_data = `data:application/pdf;base64,${'A'.repeat(length)}`;
      return promptSize(part('file', { filename: 'f.pdf', file_data })).mediaTokens;
    };
    expect(file(10)).toBeGreaterThan(500);
    expect(file(1_000_000)).toBeGreaterThan(50_000);
  });

  it('counts what a text says of images as text', () => {
    const said = part('text', `"image_url":{"url":"data:image/png;base64,${'A'.repeat(1_000)}"}`);
    expect(promptSize(said)).toEqual({ bytes: Buffer.byteLength(said), mediaTokens: 0 });
    expect(promptSize('„text“')).toEqual({ bytes: Buffer.byteLength('„text“'), mediaTokens: 0 });
  });
});
