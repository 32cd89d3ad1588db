import type { Usage } from '#libs/protocol';
import { sumOfUsage } from '../model/sum-of-usage.js';

/** Bytes of JSON and text that count as one token where the model has not counted. */
const BYTES_PER_TOKEN = 4;

/**
 * What a run has used of the model so far, for a turn that ends before the model has said it: what
 * it reported last, or else an estimate that says of itself that it is one.
 */
export class SpentTokens {
  private promptBytes = 0;
  private textBytes = 0;
  private hasAnswered = false;
  private reported: Usage | null = null;
  /** Of the model's calls before this one. */
  private earlier: Usage | null = null;

  /** The model is called, with a body; perhaps once more. */
  asked(body: Uint8Array | readonly Uint8Array[]): void {
    this.earlier = this.usage();
    this.reported = null;
    this.hasAnswered = false;
    this.textBytes = 0;
    const pieces = body instanceof Uint8Array ? [body] : body;
    this.promptBytes = pieces.reduce((sum, piece) => sum + piece.length, 0);
  }

  answered(): void {
    this.hasAnswered = true;
  }

  said(text: string): void {
    this.textBytes += Buffer.byteLength(text);
  }

  counted(usage: Usage): void {
    this.reported = usage;
  }

  /** Null where the model has not answered: nobody knows whether it has begun. */
  usage(): Usage | null {
    const { earlier } = this;
    const last = this.ofLastCall();
    return earlier === null || last === null ? (last ?? earlier) : sumOfUsage(earlier, last);
  }

  private ofLastCall(): Usage | null {
    if (this.reported !== null || !this.hasAnswered) return this.reported;
    const prompt = Math.ceil(this.promptBytes / BYTES_PER_TOKEN);
    const completion = Math.ceil(this.textBytes / BYTES_PER_TOKEN);
    return {
      prompt_tokens: prompt,
      completion_tokens: completion,
      total_tokens: prompt + completion,
      estimated: true,
    };
  }
}
