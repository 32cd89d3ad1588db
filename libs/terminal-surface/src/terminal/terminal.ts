import type { Interface } from 'node:readline';
import { createInterface } from 'node:readline';
import type { Readable, Writable } from 'node:stream';
import { Limit, within } from '#libs/timing';
import { plainText } from './plain-text.js';

/** Lines that may wait for somebody to read them; later ones are dropped. */
const MAX_WAITING_LINES = 100;

export interface TerminalStreams {
  readonly input: Readable;
  /** For what a turn says, and for frames. */
  readonly output: Writable;
  /** For what the surface itself says; may be the same stream. */
  readonly notices: Writable;
}

/** What came of a question. */
export type Answer =
  | { readonly type: 'answered'; readonly text: string }
  /** Nobody answered in time. */
  | { readonly type: 'late' }
  /** There is nobody to ask: the input has ended. */
  | { readonly type: 'nobody' };

/**
 * The person's end of a surface. What is printed is cleaned of control characters. A line that is
 * typed answers the open question; where there is none, it goes to the reader of lines, and before
 * there is one, it waits for whoever comes first.
 */
export class Terminal {
  private readonly lines: Interface;
  private readonly questions = new Limit(1);
  private readonly waiting: string[] = [];
  private question: ((answer: Answer) => void) | null = null;
  private reader: ((line: string) => void) | null = null;
  private ended = false;
  private atLineStart = true;

  /** `onEnd` is told once that no line will come any more. */
  constructor(
    private readonly streams: TerminalStreams,
    onEnd: () => void,
  ) {
    this.lines = createInterface({ input: streams.input, crlfDelay: Infinity });
    this.lines.on('line', (line) => this.take(line));
    this.lines.on('close', () => {
      this.ended = true;
      this.question?.({ type: 'nobody' });
      onEnd();
    });
  }

  /** Prints a piece of text where the last one ended. */
  write(text: string): void {
    const plain = plainText(text);
    if (plain === '') return;
    this.streams.output.write(plain);
    this.atLineStart = plain.endsWith('\n');
  }

  /** Prints lines of the surface's own. */
  say(text: string): void {
    const { output, notices } = this.streams;
    if (!this.atLineStart && output === notices) notices.write('\n');
    notices.write(`${plainText(text)}\n`);
    this.atLineStart = true;
  }

  /** Makes the terminal sound or flash. */
  ring(): void {
    this.streams.notices.write('\u0007');
  }

  /** Resolves when all that was printed has left the process. */
  flushed(): Promise<void> {
    return new Promise((resolve) => {
      this.streams.output.write('', () => resolve());
    });
  }

  /**
   * Asks the person; questions are put one after the other. Only a line that is typed after the
   * question was shown answers it. `ms` counts from then on.
   */
  ask(question: string, ms = Infinity): Promise<Answer> {
    return this.put(question, ms, false);
  }

  /** As `ask`, but a line that waits for somebody to read it is taken for the answer. */
  askAhead(question: string): Promise<Answer> {
    return this.put(question, Infinity, true);
  }

  /** From now on, lines that answer no question go to `reader`. */
  read(reader: (line: string) => void): void {
    this.reader = reader;
    for (const line of this.waiting.splice(0)) reader(line);
  }

  /** Reads no more; what is asked from now on has nobody to answer. */
  close(): void {
    this.lines.close();
    this.streams.input.destroy();
  }

  private put(question: string, ms: number, takesWaiting: boolean): Promise<Answer> {
    return this.questions.run(async () => {
      const early = takesWaiting ? this.waiting.shift() : undefined;
      if (early === undefined && this.ended) return { type: 'nobody' };
      this.say(question);
      if (early !== undefined) return { type: 'answered', text: early };
      const answer = new Promise<Answer>((resolve) => {
        this.question = resolve;
      });
      const given = ms === Infinity ? await answer : await within(answer, ms);
      this.question = null;
      return given === 'late' ? { type: 'late' } : given;
    });
  }

  private take(line: string): void {
    const { question } = this;
    this.question = null;
    if (question !== null) question({ type: 'answered', text: line });
    else if (this.reader !== null) this.reader(line);
    else if (this.waiting.length < MAX_WAITING_LINES) this.waiting.push(line);
  }
}
