import type { FunctionCall } from '../completion/assistant-message.js';
import type { DemoRequest } from './demo-request.js';

/** What all parts of one answer have in common. */
export interface DemoAnswer {
  readonly id: string;
  /** Seconds since 1970. */
  readonly created: number;
  readonly request: DemoRequest;
  readonly choices: readonly DemoChoice[];
}

/** What one choice says and does. Those of an answer have as many pieces each. */
export interface DemoChoice {
  readonly words: readonly string[];
  readonly calls: readonly FunctionCall[];
  readonly finishReason: 'stop' | 'length' | 'tool_calls';
}

/** Code points of a call's arguments in one chunk; there are two chunks at least. */
const ARGUMENTS_PIECE = 16;

const FINGERPRINT = 'fp_demo';
export const DONE = Buffer.from('data: [DONE]\n\n');

/**
 * Encodes the chunks of one streamed answer. What does not change is made once: a chunk costs one
 * small string.
 */
export class DemoChunks {
  private readonly open: string;
  private readonly close: string;
  /** Per choice: a delta for each piece of its calls. */
  private readonly callDeltas: readonly (readonly string[])[];

  constructor(private readonly answer: DemoAnswer) {
    this.open = `data: {"id":"${answer.id}","object":"chat.completion.chunk","created":${answer.created},"model":${JSON.stringify(answer.request.model)},"system_fingerprint":"${FINGERPRINT}","choices":[`;
    this.close = answer.request.includeUsage ? '],"usage":null}\n\n' : ']}\n\n';
    this.callDeltas = answer.choices.map(({ calls }) => calls.flatMap(deltasOf));
  }

  /** How many pieces each choice has: its words, then those of its calls. */
  get pieces(): number {
    return (this.answer.choices[0]?.words.length ?? 0) + (this.callDeltas[0]?.length ?? 0);
  }

  /**
   * The chunk that opens a choice. That of choice 0 carries `demo`, a field that no client knows.
   */
  role(choice: number): Uint8Array {
    const content = isSilent(this.answer.choices[choice]) ? 'null' : '""';
    const delta = `{"role":"assistant","content":${content},"refusal":null}`;
    const opened = this.choice(choice, delta, 'null');
    const extension = choice === 0 ? `],"demo":${JSON.stringify(extensionOf(this.answer))}` : ']';
    return Buffer.from(`${this.open}${opened}${extension}${this.close.slice(1)}`);
  }

  piece(choice: number, at: number): Uint8Array {
    const words = this.answer.choices[choice]?.words ?? [];
    const word = words[at];
    const delta =
      word === undefined
        ? (this.callDeltas[choice]?.[at - words.length] ?? '{}')
        : `{"content":${JSON.stringify(word)}}`;
    return Buffer.from(`${this.open}${this.choice(choice, delta, 'null')}${this.close}`);
  }

  finish(choice: number): Uint8Array {
    const reason = this.answer.choices[choice]?.finishReason ?? 'stop';
    const ended = this.choice(choice, '{}', `"${reason}"`);
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
  const { id, created, request, choices } = answer;
  return Buffer.from(
    JSON.stringify({
      id,
      object: 'chat.completion',
      created,
      model: request.model,
      choices: choices.map((choice, index) => ({
        index,
        message: messageOf(choice),
        logprobs: null,
        finish_reason: choice.finishReason,
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

function messageOf(choice: DemoChoice): object {
  return {
    role: 'assistant',
    content: isSilent(choice) ? null : choice.words.join(''),
    ...(choice.calls.length > 0 ? { tool_calls: choice.calls } : {}),
    refusal: null,
    annotations: [],
  };
}

function isSilent(choice: DemoChoice | undefined): boolean {
  return choice !== undefined && choice.words.length === 0 && choice.calls.length > 0;
}

/** First who is called, with empty arguments, then the arguments piece by piece. */
function deltasOf(call: FunctionCall, index: number): readonly string[] {
  const { name, arguments: input } = call.function;
  const points = Array.from(input);
  const size = Math.min(ARGUMENTS_PIECE, Math.ceil(points.length / 2));
  const delta = (piece: object): string => JSON.stringify({ tool_calls: [{ index, ...piece }] });
  const deltas = [delta({ ...call, function: { name, arguments: '' } })];
  for (let from = 0; from < points.length; from += size) {
    const text = points.slice(from, from + size).join('');
    deltas.push(delta({ function: { arguments: text } }));
  }
  return deltas;
}

function usageOf({ request, choices }: DemoAnswer): Readonly<Record<string, number>> {
  const said = choices.reduce((sum, choice) => sum + choice.words.length, 0);
  return {
    prompt_tokens: request.promptTokens,
    completion_tokens: said,
    total_tokens: request.promptTokens + said,
  };
}
