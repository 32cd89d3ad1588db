import type { Usage } from '#libs/protocol';

/** Bytes of JSON for a token, before a model has said what its prompts took. */
const FIRST_RATIO = 2.5;
/** What is learnt stays within these. */
const LEAST_RATIO = 1;
const MOST_RATIO = 6;
/** How far a larger ratio than the known one is believed at once. */
const TRUST = 0.1;
/** Prompts of fewer tokens say little: most of them is not text. */
const LEAST_TOKENS = 64;
/** Models that are remembered. */
const MAX_MODELS = 256;
/** What an image in a data URL is taken for, however long its text is: tokens. */
const IMAGE_TOKENS = 2_000;

const DATA_URL = /data:[\w.+-]+\/[\w.+-]+;base64,[A-Za-z0-9+/=]*/g;

/**
 * How many tokens a prompt takes, estimated by its bytes of JSON: with a ratio that is cautious at
 * first, and then learnt for each model from the usage that it reports. A ratio that makes prompts
 * larger is believed at once; one that makes them smaller only little by little.
 */
export class PromptSizes {
  private readonly ratios = new Map<string, number>();

  /** Bytes that so many tokens have room for. */
  bytesOf(model: string, tokens: number): number {
    return tokens * (this.ratios.get(model) ?? FIRST_RATIO);
  }

  /** A completed call: the bytes of its prompt, as `promptBytes` counts them. */
  learn(model: string, bytes: number, usage: Usage | null): void {
    const tokens = usage?.prompt_tokens ?? 0;
    if (tokens < LEAST_TOKENS || usage?.['estimated'] === true) return;
    const known = this.ratios.get(model) ?? FIRST_RATIO;
    const seen = Math.min(MOST_RATIO, Math.max(LEAST_RATIO, bytes / tokens));
    this.ratios.delete(model);
    this.ratios.set(model, seen < known ? seen : known + TRUST * (seen - known));
    const [oldest] = this.ratios.keys();
    if (this.ratios.size > MAX_MODELS && oldest !== undefined) this.ratios.delete(oldest);
  }
}

/** Bytes of a message's JSON; an image in it counts as what a model takes it for. */
export function promptBytes(text: string): number {
  if (!text.includes(';base64,')) return Buffer.byteLength(text);
  let images = 0;
  const rest = text.replaceAll(DATA_URL, () => {
    images += 1;
    return '';
  });
  return Buffer.byteLength(rest) + images * IMAGE_TOKENS * FIRST_RATIO;
}
