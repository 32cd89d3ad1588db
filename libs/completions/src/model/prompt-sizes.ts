import type { Usage } from '#libs/protocol';

/** Bytes of JSON for a token, before a model has said what its prompts took. */
const FIRST_RATIO = 2.5;
/** What is learnt stays within these. */
const LEAST_RATIO = 1;
const MOST_RATIO = 6;
/** How far a larger ratio than the known one is believed at once. */
const TRUST = 0.1;
/** Prompts below this share of the limit are not learnt from: most of them is not text. */
const LEAST_SHARE = 1 / 4;
/** Models that are remembered. */
const MAX_MODELS = 256;
/** What an image is taken for, however long its data or its address is: tokens. */
const IMAGE_TOKENS = 2_000;
/** Characters of base64 for a token of a file's text. */
const FILE_RATIO = 16;

// Quotation marks within a string are escaped: these stand for what a model is shown.
const IMAGE = /"image_url":(?:\{[^}]*?"url":)?"(?:data:[^"]*)?/g;
const FILE = /"file_data":"([^"]*)/g;

/** What takes room in a model's context. */
export interface PromptSize {
  /** Of JSON, without images and files. */
  readonly bytes: number;
  /** What images and files are taken for. */
  readonly mediaTokens: number;
}

/** Bytes of a message's JSON; an image or a file in it counts as what a model takes it for. */
export function promptSize(text: string): PromptSize {
  let mediaTokens = 0;
  let rest = text;
  if (text.includes('"image_url":')) {
    rest = rest.replaceAll(IMAGE, () => {
      mediaTokens += IMAGE_TOKENS;
      return '';
    });
  }
  if (text.includes('"file_data":')) {
    rest = rest.replaceAll(FILE, (_, data: string) => {
      mediaTokens += Math.max(IMAGE_TOKENS, Math.ceil(data.length / FILE_RATIO));
      return '';
    });
  }
  return { bytes: Buffer.byteLength(rest), mediaTokens };
}

export function sumOfSizes(sizes: readonly PromptSize[]): PromptSize {
  return {
    bytes: sizes.reduce((sum, each) => sum + each.bytes, 0),
    mediaTokens: sizes.reduce((sum, each) => sum + each.mediaTokens, 0),
  };
}

/**
 * How many tokens a prompt takes, estimated by its bytes of JSON: with a ratio that is cautious at
 * first, and then learnt for each model from the usage that it reports. A ratio that makes prompts
 * larger is believed at once; one that makes them smaller only little by little.
 */
export class PromptSizes {
  private readonly ratios = new Map<string, number>();

  tokensOf(model: string, { bytes, mediaTokens }: PromptSize): number {
    return bytes / this.ratioOf(model) + mediaTokens;
  }

  /** A completed call, of a model that may be sent so many tokens. */
  learn(
    model: string,
    { bytes, mediaTokens }: PromptSize,
    limit: number,
    usage: Usage | null,
  ): void {
    const tokens = usage?.prompt_tokens ?? 0;
    if (tokens < limit * LEAST_SHARE || usage?.['estimated'] === true) return;
    const known = this.ratioOf(model);
    // At least a tenth of the tokens is text, whatever the images were thought to take.
    const textTokens = Math.max(tokens - mediaTokens, tokens / 10);
    const seen = Math.min(MOST_RATIO, Math.max(LEAST_RATIO, bytes / textTokens));
    // Cheap images would be taken for short text.
    if (seen > known && mediaTokens > 0) return;
    this.ratios.delete(model);
    this.ratios.set(model, seen < known ? seen : known + TRUST * (seen - known));
    const [oldest] = this.ratios.keys();
    if (this.ratios.size > MAX_MODELS && oldest !== undefined) this.ratios.delete(oldest);
  }

  private ratioOf(model: string): number {
    return this.ratios.get(model) ?? FIRST_RATIO;
  }
}
