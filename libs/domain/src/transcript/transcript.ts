import type { Message } from '#libs/protocol';

/** What a request adds to the stored conversation. */
export interface TranscriptUpdate {
  /** How many stored messages stay. */
  readonly keeps: number;
  /** Bytes of those, as JSON. */
  readonly keptBytes: number;
  /** What comes after them. */
  readonly messages: readonly Message[];
  /** System and developer messages, if they differ from the stored ones: they replace them. */
  readonly system: readonly Message[] | null;
}

/** The stored conversation, as far as deciding needs it. */
export interface StoredTranscript {
  readonly system: readonly Message[];
  /** Messages in all. */
  readonly count: number;
  /** Bytes of the first `keeps` messages, as JSON. */
  bytesOf(keeps: number): number;
  /** The last messages: `count` of them, or all if there are fewer. */
  tail(count: number): readonly Message[];
  /** How many at the end were brought by a last turn that failed or was cancelled. */
  readonly unanswered: number;
}

/**
 * Decides what is new in `incoming`, since clients differ: some send only the new message, some
 * resend everything. Without any assistant or tool message all of it is new, except that it repeats
 * the messages of a last turn that did not complete. Otherwise new is what follows the longest end
 * of the stored transcript that `incoming` begins with and that contains an assistant or tool
 * message; where there is none, all is appended. It reads no more of the stored transcript than
 * `incoming` is long.
 */
export function updateTranscript(
  stored: StoredTranscript,
  incoming: readonly Message[],
): TranscriptUpdate {
  const conversation = incoming.filter((message) => !isSystem(message));
  const system = incoming.filter(isSystem);
  const replaced = system.length > 0 && !sameMessages(system, stored.system) ? system : null;
  const { keeps, messages } = overlap(stored, conversation);
  return { keeps, keptBytes: stored.bytesOf(keeps), messages, system: replaced };
}

function overlap(
  stored: StoredTranscript,
  incoming: readonly Message[],
): Pick<TranscriptUpdate, 'keeps' | 'messages'> {
  const { count, unanswered } = stored;
  const append = { keeps: count, messages: incoming };
  if (!incoming.some(isAnswer)) {
    const repeats =
      unanswered > 0 &&
      unanswered === incoming.length &&
      sameMessages(stored.tail(unanswered), incoming);
    return repeats ? { keeps: count - unanswered, messages: incoming } : append;
  }
  const kept = longestOverlap(
    stored.tail(incoming.length).map(messageKey),
    incoming.map(messageKey),
    incoming.findIndex(isAnswer) + 1,
  );
  return kept === null ? append : { keeps: count, messages: incoming.slice(kept) };
}

/**
 * The length of the longest end of `stored` that `incoming` begins with, or null below `least`.
 * Linear in both (the prefix function of Knuth, Morris and Pratt), for a client chooses how long
 * and how repetitive they are.
 */
function longestOverlap(
  stored: readonly string[],
  incoming: readonly string[],
  least: number,
): number | null {
  const borders: number[] = [0];
  const extend = (length: number, key: string | undefined): number => {
    let matched = length === incoming.length ? (borders[length - 1] ?? 0) : length;
    while (matched > 0 && incoming[matched] !== key) matched = borders[matched - 1] ?? 0;
    return incoming[matched] === key ? matched + 1 : 0;
  };
  for (let index = 1; index < incoming.length; index++) {
    borders.push(extend(borders[index - 1] ?? 0, incoming[index]));
  }
  const overlap = stored.reduce(extend, 0);
  return overlap >= least ? overlap : null;
}

export function isSystem(message: Message): boolean {
  return message.role === 'system' || message.role === 'developer';
}

function isAnswer(message: Message): boolean {
  return message.role === 'assistant' || message.role === 'tool' || message.role === 'function';
}

function sameMessages(left: readonly Message[], right: readonly Message[]): boolean {
  return (
    left.length === right.length &&
    left.every((message, index) => messageKey(message) === keyAt(right, index))
  );
}

function keyAt(messages: readonly Message[], index: number): string | null {
  const message = messages[index];
  return message === undefined ? null : messageKey(message);
}

/**
 * Equal for messages that count as the same: by role and normalised content, tool messages by the
 * call they answer.
 */
function messageKey(message: Message): string {
  return message.role === 'tool'
    ? `tool ${message.tool_call_id ?? ''}`
    : `${message.role} ${normalisedContent(message)}`;
}

/** A string equals one text part; null equals absent. */
function normalisedContent(message: Message): string {
  const { content } = message;
  if (content === undefined || content === null) return '[]';
  const parts = typeof content === 'string' ? [{ type: 'text', text: content }] : content;
  return JSON.stringify(parts, sortedKeys);
}

function sortedKeys(_key: string, value: unknown): unknown {
  if (value === null || typeof value !== 'object' || Array.isArray(value)) return value;
  return Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)));
}

/** The text that a turn says to a human: what its assistant messages hold, joined. */
export function turnText(output: readonly Message[]): string {
  return output
    .filter((message) => message.role === 'assistant')
    .map((message) => textOf(message.content))
    .join('');
}

function textOf(content: Message['content']): string {
  if (content === undefined || content === null) return '';
  if (typeof content === 'string') return content;
  return content
    .map((part) => (part.type === 'text' && typeof part['text'] === 'string' ? part['text'] : ''))
    .join('');
}
