import type { Message } from '#libs/protocol';

/** A turn's visible messages, each as JSON. */
export interface StoredTurn {
  readonly number: number;
  /** The place of its first message in the transcript. */
  readonly firstIndex: number;
  readonly texts: readonly string[];
}

/** Turns that are joined into one buffer at a time. */
const JOIN = 64;

/**
 * A session's conversation, as JSON: it goes to the model as it stands, so a message is parsed only
 * where it must be compared. What is extended shares its beginning with what it was made of.
 */
export class Transcript {
  private constructor(
    /** How many turns of the session it knows of, visible or not. */
    readonly turns: number,
    private readonly parts: readonly StoredTurn[],
    /** The first `joined.parts` turns in one piece, with commas between the messages. */
    private readonly joined: { readonly parts: number; readonly text: Buffer },
    /** Messages. */
    readonly count: number,
    /** Bytes of the messages. */
    readonly bytes: number,
  ) {}

  static readonly empty = new Transcript(0, [], { parts: 0, text: Buffer.alloc(0) }, 0, 0);

  /** With the turns that came since; null where one of them cut what is here. */
  extended(added: readonly StoredTurn[], turns: number): Transcript | null {
    if (added.length === 0 && turns === this.turns) return this;
    let { count, bytes } = this;
    for (const { firstIndex, texts } of added) {
      if (firstIndex !== count) return null;
      count += texts.length;
      bytes += bytesOf(texts);
    }
    // Copying the list costs little beside the bytes of a model's request; the texts are shared.
    const parts = added.length === 0 ? this.parts : [...this.parts, ...added];
    return new Transcript(turns, parts, this.join(parts), count, bytes);
  }

  /** Bytes of the first messages. */
  bytesOf(count: number): number {
    if (count >= this.count) return this.bytes;
    return this.parts.reduce((sum, { firstIndex, texts }) => {
      return sum + bytesOf(texts.slice(0, Math.max(0, count - firstIndex)));
    }, 0);
  }

  /** The last messages, at most `count`. */
  tail(count: number): readonly Message[] {
    const texts: string[] = [];
    for (let at = this.parts.length - 1; at >= 0 && texts.length < count; at--) {
      texts.unshift(...(this.parts[at]?.texts.slice(-(count - texts.length)) ?? []));
    }
    return texts.map((text) => JSON.parse(text) as Message);
  }

  /** The first messages as JSON: runs of them, with commas between the messages of a run. */
  pieces(count: number): readonly Buffer[] {
    if (count === 0) return [];
    if (count < this.count) {
      const texts = this.parts.flatMap(({ firstIndex, texts }) =>
        texts.slice(0, Math.max(0, count - firstIndex)),
      );
      return [Buffer.from(texts.join(','))];
    }
    const rest = this.parts.slice(this.joined.parts).flatMap(({ texts }) => texts);
    return [
      ...(this.joined.text.length === 0 ? [] : [this.joined.text]),
      ...(rest.length === 0 ? [] : [Buffer.from(rest.join(','))]),
    ];
  }

  private join(parts: readonly StoredTurn[]): Transcript['joined'] {
    const { parts: done, text } = this.joined;
    if (parts.length - done < JOIN) return this.joined;
    const texts = parts.slice(done).flatMap((part) => part.texts);
    const pieces = text.length === 0 ? [] : [text];
    const joined = withCommas([...pieces, Buffer.from(texts.join(','))]);
    return { parts: parts.length, text: Buffer.concat(joined) };
  }
}

export const emptyTranscript = Transcript.empty;

const COMMA = Buffer.from(',');

/** Pieces with a comma between each two. */
export function withCommas(pieces: readonly Buffer[]): readonly Buffer[] {
  return pieces.flatMap((piece, index) => (index === 0 ? [piece] : [COMMA, piece]));
}

function bytesOf(texts: readonly string[]): number {
  return texts.reduce((sum, text) => sum + Buffer.byteLength(text), 0);
}
