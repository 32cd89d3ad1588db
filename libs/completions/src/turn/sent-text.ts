import type { JsonObject } from '#libs/protocol';

/** What a caller has got of an attempt: text of choice 0, and perhaps more. */
export interface SentText {
  readonly text: string;
  /** Whether the text is all that he has got, so that another attempt can go on with it. */
  readonly isPlain: boolean;
}

/** As it grows. */
export class SentSoFar implements SentText {
  text = '';
  isPlain = true;

  add(text: string, isPlain: boolean): void {
    this.text += text;
    this.isPlain &&= isPlain;
  }
}

export const NOTHING_SENT: SentText = { text: '', isPlain: true };

/** Whether a chunk says nothing but text of choice 0. */
export function isPlainChunk({ choices }: JsonObject): boolean {
  if (!Array.isArray(choices)) return true;
  return choices.every((choice: JsonObject) => {
    const delta = (choice['delta'] ?? {}) as JsonObject;
    const said = Object.entries(delta).filter(([, value]) => value !== null && value !== '');
    return (choice['index'] ?? 0) === 0 && said.every(([name]) => PLAIN.has(name));
  });
}

const PLAIN = new Set(['role', 'content']);
