/** A bundle that cannot be read. */
class UnreadableBundle extends Error {
  override readonly name = 'UnreadableBundle';
}

/** A message of a bundle, as it stands there; and at the end the rest of it, without messages. */
export type BundlePiece =
  | { readonly type: 'message'; readonly value: unknown }
  | { readonly type: 'rest'; readonly value: unknown };

/** How deep lists and objects may be nested. */
const DEEPEST = 500;
/** Bytes of one message, and of all that is no message. */
const MOST_BYTES = 10 * 1024 * 1024;

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const COMMA = 0x2c;
const NAME = '"messages":[';

/**
 * Reads a bundle's JSON as it comes, so that only one message of it is in memory. It must be
 * canonical: that is what its address is made of, so nothing else has one.
 */
export async function* bundlePieces(
  chunks: AsyncIterable<Uint8Array>,
): AsyncGenerator<BundlePiece> {
  const scan = new Scan();
  for await (const chunk of chunks) {
    for (const text of scan.take(chunk)) yield { type: 'message', value: parsed(text) };
  }
  yield { type: 'rest', value: parsed(scan.end()) };
}

/** Where in the JSON it is: only as much as is needed to know where a message ends. */
class Scan {
  private depth = 0;
  private inString = false;
  private escaped = false;
  private inMessages = false;
  /** What is no message, in pieces. */
  private readonly rest: Buffer[] = [];
  private restBytes = 0;
  /** The message in hand, or what may turn out to be the beginning of the list. */
  private current: Buffer[] = [];
  private currentBytes = 0;
  private seen = '';

  *take(chunk: Uint8Array): Generator<string> {
    const bytes = Buffer.from(chunk);
    let from = 0;
    for (let at = 0; at < bytes.length; at++) {
      const byte = bytes[at] ?? 0;
      if (this.inString) {
        this.step(byte);
        if (this.depth === 1 && !this.inMessages) this.seen += String.fromCharCode(byte);
        continue;
      }
      const isSeparator = this.inMessages && this.depth === 2;
      if (isSeparator && (byte === COMMA || byte === 0x5d)) {
        this.add(bytes.subarray(from, at));
        const text = this.flush();
        if (text !== '') yield text;
        else if (byte === COMMA) throw new UnreadableBundle('a message is missing');
        from = byte === COMMA ? at + 1 : at;
        if (byte === COMMA) continue;
        this.inMessages = false;
      }
      this.step(byte);
      if (this.inMessages || this.depth > 2) continue;
      this.seen = (this.seen + String.fromCharCode(byte)).slice(-NAME.length);
      if (this.depth === 2 && this.seen.endsWith(NAME)) {
        this.keep(bytes.subarray(from, at + 1));
        from = at + 1;
        this.inMessages = true;
        this.seen = '';
      }
    }
    if (this.inMessages) this.add(bytes.subarray(from));
    else this.keep(bytes.subarray(from));
  }

  end(): string {
    if (this.depth !== 0 || this.inString) throw new UnreadableBundle('it ends too early');
    return Buffer.concat(this.rest).toString('utf8');
  }

  private step(byte: number): void {
    if (this.inString) {
      if (this.escaped) this.escaped = false;
      else if (byte === BACKSLASH) this.escaped = true;
      else if (byte === QUOTE) this.inString = false;
      return;
    }
    switch (byte) {
      case QUOTE:
        this.inString = true;
        return;
      case 0x5b: // [
      case 0x7b: // {
        this.depth += 1;
        if (this.depth > DEEPEST) throw new UnreadableBundle(`it nests more than ${DEEPEST} deep`);
        return;
      case 0x5d: // ]
      case 0x7d: // }
        this.depth -= 1;
        return;
      default:
    }
  }

  private add(bytes: Buffer): void {
    this.currentBytes += bytes.length;
    if (this.currentBytes > MOST_BYTES) throw new UnreadableBundle('a message is too large');
    // A copy: the chunk is somebody else's.
    if (bytes.length > 0) this.current.push(Buffer.from(bytes));
  }

  private flush(): string {
    const text = Buffer.concat(this.current).toString('utf8');
    this.current = [];
    this.currentBytes = 0;
    return text;
  }

  private keep(bytes: Buffer): void {
    this.restBytes += bytes.length;
    if (this.restBytes > MOST_BYTES) throw new UnreadableBundle('what is no message is too large');
    if (bytes.length > 0) this.rest.push(Buffer.from(bytes));
  }
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw new UnreadableBundle('it is no JSON');
  }
}
