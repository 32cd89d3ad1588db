import type { TurnOutcome, TurnView } from '#libs/domain';
import { sentMessages, usesTools } from '#libs/domain';
import type { Message } from '#libs/protocol';

/** Messages of a turn that its caller did not see: of the rounds before its last answer [A20]. */
interface HiddenMessages {
  /** The place of the first among the turn's messages. */
  readonly from: number;
  readonly count: number;
  /** What the model said to the human in them, joined: the caller saw it with the last answer. */
  readonly said: string;
}

/** A turn's visible messages, each as JSON; as a view, without those its caller did not see. */
export class StoredTurn implements TurnView {
  private constructor(
    /** The place of its first message in the transcript. */
    readonly firstIndex: number,
    readonly outcome: TurnOutcome,
    readonly texts: readonly string[],
    /** Whether tool calls, or answers to them, are among its messages. */
    readonly usesTools: boolean,
    private readonly otherChoices: readonly string[],
    private readonly hidden: HiddenMessages | null,
  ) {}

  static of(
    firstIndex: number,
    outcome: TurnOutcome,
    messages: readonly Message[],
    alternatives: readonly Message[] = [],
    hidden: HiddenMessages | null = null,
  ): StoredTurn {
    const texts = messages.map((message) => JSON.stringify(message));
    const others = alternatives.map((message) => JSON.stringify(message));
    return new StoredTurn(firstIndex, outcome, texts, usesTools(messages), others, hidden);
  }

  get size(): number {
    return this.texts.length - (this.hidden?.count ?? 0);
  }

  placeOf(at: number): number {
    const { from, count } = this.hidden ?? { from: at, count: 0 };
    return this.firstIndex + (at > from ? at + count : at);
  }

  messages(): readonly Message[] {
    if (this.hidden === null) return readAll(this.texts);
    const { from, count, said } = this.hidden;
    const [answer, ...rest] = readAll(this.texts.slice(from + count));
    const asked = readAll(this.texts.slice(0, from));
    return answer === undefined ? asked : [...asked, withTextBefore(answer, said), ...rest];
  }

  alternatives(): readonly Message[] {
    return readAll(this.otherChoices);
  }
}

function readAll(texts: readonly string[]): readonly Message[] {
  return texts.map((text) => JSON.parse(text) as Message);
}

function withTextBefore(answer: Message, said: string): Message {
  const { content } = answer;
  if (said === '') return answer;
  if (!Array.isArray(content)) return { ...answer, content: said + (content ?? '') };
  return { ...answer, content: [{ type: 'text', text: said }, ...content] };
}

/** Turns that are joined into one buffer at a time. */
const JOIN = 64;

/** The first messages, as they go to a model, in one piece with commas between them. */
interface Joined {
  /** The turn, by its place in the list, and the message of it that come next. */
  readonly turn: number;
  readonly message: number;
  readonly text: Buffer;
}

/**
 * A session's conversation, as JSON: it goes to the model as it stands, so a message is parsed only
 * where it must be compared, and where tools are called. What is extended shares its beginning with
 * what it was made of.
 */
export class Transcript {
  private constructor(
    /** How many turns of the session it knows of, visible or not. */
    readonly turns: number,
    /** Those of which something is visible. */
    readonly parts: readonly StoredTurn[],
    private readonly joined: Joined,
    /** Messages. */
    readonly count: number,
    /** Bytes of the messages. */
    readonly bytes: number,
  ) {}

  static readonly empty = new Transcript(
    0,
    [],
    { turn: 0, message: 0, text: Buffer.alloc(0) },
    0,
    0,
  );

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

  /** All messages, as they are stored. */
  messages(): readonly Message[] {
    return this.parts.flatMap(({ texts }) => readAll(texts));
  }

  /**
   * What a model is sent of the first `count` messages with others behind them, as JSON: runs of
   * messages, with commas between the messages of a run. Left out are those that the model refused,
   * and the calls that nobody answered before the conversation went on. `from`: the first of
   * `partsUpTo(count)` that is sent.
   */
  sent(count: number, following: readonly Message[], from = 0): readonly Buffer[] {
    const isWhole = count >= this.count && from === 0;
    const rest = isWhole ? unjoined(this.parts, this.joined) : this.firstParts(count, from);
    const kept = rest.flatMap(({ texts }) => texts);
    const texts = [...kept, ...following.map((message) => JSON.stringify(message))];
    const mayDangle = rest.some((part) => part.usesTools) || usesTools(following);
    const { sent } = mayDangle ? takenByModels(texts, kept.length) : { sent: texts };
    return [
      ...(isWhole && this.joined.text.length > 0 ? [this.joined.text] : []),
      ...(sent.length === 0 ? [] : [Buffer.from(sent.join(','))]),
    ];
  }

  /** The turns of the first `count` messages; the last may have more. */
  partsUpTo(count: number): readonly StoredTurn[] {
    if (count >= this.count) return this.parts;
    return this.parts.slice(
      0,
      1 + this.parts.findLastIndex(({ firstIndex }) => firstIndex < count),
    );
  }

  private firstParts(count: number, from: number): readonly SentPart[] {
    return this.partsUpTo(count)
      .slice(from)
      .filter(({ outcome }) => outcome !== 'refused')
      .map(({ firstIndex, texts, usesTools }) => {
        return { texts: texts.slice(0, count - firstIndex), usesTools };
      });
  }

  /** Joins what will not change any more: not a message whose calls may still be answered. */
  private join(parts: readonly StoredTurn[]): Joined {
    const { joined } = this;
    if (parts.length - joined.turn < JOIN) return joined;
    const rest = unjoined(parts, joined);
    const texts = rest.flatMap((part) => part.texts);
    const whole = { sent: texts, settled: texts.length, open: 0 };
    const { sent, settled, open } = rest.some((part) => part.usesTools)
      ? takenByModels(texts)
      : whole;
    const text = Buffer.from(sent.slice(0, settled).join(','));
    const pieces = [joined.text, text].filter(({ length }) => length > 0);
    return { ...behind(parts, open), text: Buffer.concat(withCommas(pieces)) };
  }
}

/** What of a turn goes to a model. */
interface SentPart {
  readonly texts: readonly string[];
  readonly usesTools: boolean;
}

function unjoined(parts: readonly StoredTurn[], { turn, message }: Joined): readonly SentPart[] {
  return parts
    .slice(turn)
    .map(({ texts, usesTools, outcome }, at) => ({
      texts: at === 0 ? texts.slice(message) : texts,
      usesTools,
      outcome,
    }))
    .filter(({ outcome }) => outcome !== 'refused');
}

/**
 * Messages without calls that nobody answered, and answers without calls; the first `stored` are
 * stored ones. The last `open` messages may still change, because what follows may answer their
 * calls; the first `settled` of what is sent do not.
 */
function takenByModels(
  texts: readonly string[],
  stored = texts.length,
): { readonly sent: readonly string[]; readonly settled: number; readonly open: number } {
  const messages = texts.map((text) => JSON.parse(text) as Message);
  const { sent, settled, openFrom } = sentMessages(messages, stored);
  return {
    settled,
    sent: sent.map((each) =>
      typeof each === 'number' ? (texts[each] ?? '') : JSON.stringify(each),
    ),
    open: texts.length - openFrom,
  };
}

/** The place of the last `open` messages that go to a model. */
function behind(parts: readonly StoredTurn[], open: number): Omit<Joined, 'text'> {
  let rest = open;
  for (let turn = parts.length - 1; turn >= 0 && rest > 0; turn--) {
    const part = parts[turn];
    if (part === undefined || part.outcome === 'refused') continue;
    const { length } = part.texts;
    if (length >= rest) return { turn, message: length - rest };
    rest -= length;
  }
  return { turn: parts.length, message: 0 };
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
