import type { DemoRequest } from './demo-request.js';

/** What all parts of one answer have in common. */
export interface DemoAnswer {
  readonly id: string;
  /** Seconds since 1970. */
  readonly created: number;
  readonly request: DemoRequest;
  /** Per choice. */
  readonly words: readonly (readonly string[])[];
  readonly finishReason: 'stop' | 'length';
}

const FINGERPRINT = 'fp_demo';
export const DONE = Buffer.from('data: [DONE]\n\n');

/**
 * Encodes the chunks of one streamed answer. What does not change is made once: a chunk costs one
 * small string.
 */
export class DemoChunks {
  private readonly open: string;
  private readonly close: string;

  constructor(private readonly answer: DemoAnswer) {
    this.open = `data: {"id":"${answer.id}","object":"chat.completion.chunk","created":${answer.created},"model":${JSON.stringify(answer.request.model)},"system_fingerprint":"${FINGERPRINT}","choices":[`;
    this.close = answer.request.includeUsage ? '],"usage":null}\n\n' : ']}\n\n';
  }

  /**
   * The chunk that opens a choice. That of choice 0 carries `demo`, a field that no client knows.
   */
  role(choice: number): Uint8Array {
    const opened = this.choice(choice, '{"role":"assistant","content":"","refusal":null}', 'null');
    const extension = choice === 0 ? `],"demo":${JSON.stringify(extensionOf(this.answer))}` : ']';
    return Buffer.from(`${this.open}${opened}${extension}${this.close.slice(1)}`);
  }

  word(choice: number, word: string): Uint8Array {
    const said = this.choice(choice, `{"content":${JSON.stringify(word)}}`, 'null');
    return Buffer.from(`${this.open}${said}${this.close}`);
  }

  finish(choice: number): Uint8Array {
    const ended = this.choice(choice, '{}', `"${this.answer.finishReason}"`);
    return Buffer.from(`${this.open}${ended}${this.close}`);
  }

  usage(): Uint8Array {
    return Buffer.from(`${this.open}],"usage":${JSON.stringify(usageOf(this.answer))}}\n\n`);
  }

  private choice(index: number, delta: string, reason: string): string {
    return `{"index":${index},"delta":${delta},"logprobs":null,"finish_reason":${reason}}`;
  }
}

/** The body of an answer that is not streamed. */
export function demoBody(answer: DemoAnswer): Uint8Array {
  const { id, created, request, words, finishReason } = answer;
  return Buffer.from(
    JSON.stringify({
      id,
      object: 'chat.completion',
      created,
      model: request.model,
      choices: words.map((said, index) => ({
        index,
        message: { role: 'assistant', content: said.join(''), refusal: null, annotations: [] },
        logprobs: null,
        finish_reason: finishReason,
      })),
      usage: usageOf(answer),
      system_fingerprint: FINGERPRINT,
      demo: extensionOf(answer),
    }),
  );
}

/** The name under which the demo model lists itself; it answers to any. */
export const DEMO_MODEL = 'demo';

const LISTED = { id: DEMO_MODEL, object: 'model', created: 0, owned_by: 'statebridge' } as const;

export function modelBody(): Uint8Array {
  return Buffer.from(JSON.stringify(LISTED));
}

export function modelsBody(): Uint8Array {
  return Buffer.from(JSON.stringify({ object: 'list', data: [LISTED] }));
}

/** An error as OpenAI words it. */
export function errorBody(
  message: string,
  type: string,
  param: string | null,
  code: string | null,
): Uint8Array {
  return Buffer.from(JSON.stringify({ error: { message, type, param, code } }));
}

function extensionOf({ request }: DemoAnswer): {
  readonly messages: number;
  readonly fields: readonly string[];
} {
  return { messages: request.messages, fields: request.fields };
}

function usageOf({ request, words }: DemoAnswer): Readonly<Record<string, number>> {
  const said = words.reduce((sum, choice) => sum + choice.length, 0);
  return {
    prompt_tokens: request.promptTokens,
    completion_tokens: said,
    total_tokens: request.promptTokens + said,
  };
}
