import { describe, expect, it } from 'vitest';
import { PromptSizes, promptBytes } from './prompt-sizes.js';

const usage = (prompt_tokens: number) => ({ prompt_tokens, completion_tokens: 1 });

// [SBP-L1-82]
describe('the size of a prompt', () => {
  it('is estimated cautiously before anything is known of a model', () => {
    // English text has about four bytes for a token.
    expect(new PromptSizes().bytesOf('m', 1_000)).toBeLessThan(4_000);
  });

  it('is learnt: at once where prompts are larger than was thought, slowly where smaller', () => {
    const sizes = new PromptSizes();
    sizes.learn('m', 1_500, usage(1_000));
    expect(sizes.bytesOf('m', 1_000)).toBe(1_500);
    sizes.learn('m', 4_500, usage(1_000));
    expect(sizes.bytesOf('m', 1_000)).toBe(1_800);
    for (let call = 0; call < 100; call++) sizes.learn('m', 4_500, usage(1_000));
    expect(sizes.bytesOf('m', 1_000)).toBeCloseTo(4_500, -1);
    expect(sizes.bytesOf('other', 1_000)).toBe(2_500);
  });

  it('is not learnt from prompts that say little, from estimates, or beyond all measure', () => {
    const sizes = new PromptSizes();
    sizes.learn('m', 10, usage(10));
    sizes.learn('m', 1_000, null);
    sizes.learn('m', 1_000, { ...usage(1_000), estimated: true });
    expect(sizes.bytesOf('m', 1_000)).toBe(2_500);
    sizes.learn('m', 10, usage(1_000));
    expect(sizes.bytesOf('m', 1_000)).toBe(1_000);
  });

  it('remembers a bounded number of models, the latest', () => {
    const sizes = new PromptSizes();
    for (let model = 0; model < 300; model++) sizes.learn(String(model), 1_000, usage(1_000));
    expect(sizes.bytesOf('0', 1_000)).toBe(2_500);
    expect(sizes.bytesOf('299', 1_000)).toBe(1_000);
  });

  it('does not grow with the bytes of an image', () => {
    const image = (length: number) =>
      JSON.stringify({ url: `data:image/png;base64,${'A'.repeat(length)}` });
    expect(promptBytes(image(10))).toBe(promptBytes(image(1_000_000)));
    expect(promptBytes(image(10))).toBeGreaterThan(1_000);
    expect(promptBytes('„text“')).toBe(Buffer.byteLength('„text“'));
  });
});
