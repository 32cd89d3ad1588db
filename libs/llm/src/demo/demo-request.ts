import { textOf } from '../completion/assistant-message.js';
import { InvalidSetting } from '../invalid-setting.js';
import type { JsonObject } from '../json.js';
import { isJsonObject, objectsOf } from '../json.js';
import type { DemoCall } from './demo-calls.js';
import { planCalls } from './demo-calls.js';
import type { DemoOptions } from './demo-options.js';
import { steer } from './demo-steering.js';

/** A request that the demo model can answer. */
export interface DemoRequest {
  readonly type: 'accepted';
  readonly model: string;
  readonly stream: boolean;
  readonly includeUsage: boolean;
  readonly choices: number;
  /** Most words that it may answer with. */
  readonly cap: number;
  /** Words that it answers with, if the cap allows: more where its notes are longer. */
  readonly tokens: number;
  /** To be made in this answer. */
  readonly calls: readonly DemoCall[];
  /** What the answer has to say of tools; it says it before all else. */
  readonly notes: string;
  readonly messages: number;
  /** The last user message without its steering lines. */
  readonly lastUserText: string;
  readonly promptTokens: number;
  /** Names of all top-level fields, as they came: shows a tester what reached the model. */
  readonly fields: readonly string[];
  readonly options: DemoOptions;
}

/** A request that is not one: what is wrong, and with which field. */
export interface RefusedDemoRequest {
  readonly type: 'refused';
  readonly message: string;
  readonly param: string | null;
}

const MAX_CHOICES = 8;

/** Reads a request body as OpenAI's endpoint would, as far as the demo model cares. */
export function readDemoRequest(
  bytes: Uint8Array,
  base: DemoOptions,
): DemoRequest | RefusedDemoRequest {
  let body: unknown;
  try {
    body = JSON.parse(new TextDecoder().decode(bytes));
  } catch {
    return refuse('We could not parse the JSON body of your request.', null);
  }
  if (!isJsonObject(body)) return refuse('The body of your request must be a JSON object.', null);
  const { model, messages, stream, n } = body;
  if (typeof model !== 'string' || model === '')
    return refuse('You must provide a model parameter.', 'model');
  if (!Array.isArray(messages) || messages.length === 0)
    return refuse('You must provide messages.', 'messages');
  if (!messages.every(isJsonObject)) return refuse('Every message must be an object.', 'messages');
  if (!isAbsent(stream) && typeof stream !== 'boolean')
    return refuse('stream must be a boolean.', 'stream');
  if (!isAbsent(n) && !(isPositive(n) && n <= MAX_CHOICES)) {
    return refuse(`n must be a whole number from 1 to ${MAX_CHOICES}.`, 'n');
  }
  let cap = Infinity;
  for (const param of ['max_tokens', 'max_completion_tokens']) {
    const limit = body[param];
    if (isAbsent(limit)) continue;
    if (!isPositive(limit)) return refuse(`${param} must be a whole number from 1.`, param);
    cap = Math.min(cap, limit);
  }
  try {
    const last = messages.findLastIndex((message, at) => isAsked(message, messages[at - 1]));
    const steered = steer(textOf(messages[last]?.['content']), base);
    const { calls, notes } = planCalls(steered.asked, body, messages.slice(last + 1));
    return {
      type: 'accepted',
      model,
      stream: stream === true,
      includeUsage: asksUsage(body),
      choices: isAbsent(n) ? 1 : n,
      cap,
      tokens: calls.length === 0 || steered.hasLength ? steered.options.tokens : 0,
      calls,
      notes,
      messages: messages.length,
      lastUserText: steered.text,
      promptTokens: messages.reduce(
        (sum, message) => sum + countWords(textOf(message['content'])),
        0,
      ),
      fields: Object.keys(body),
      options: steered.options,
    };
  } catch (fault) {
    if (fault instanceof InvalidSetting) return refuse(fault.message, 'messages');
    throw fault;
  }
}

/** Whether a user says it: images of tools come as a user's message behind the tool's. */
function isAsked(message: JsonObject, before: JsonObject | undefined): boolean {
  if (message['role'] !== 'user') return false;
  const hasImages = objectsOf(message['content']).some(({ type }) => type === 'image_url');
  return !hasImages || before?.['role'] !== 'tool';
}

function refuse(message: string, param: string | null): RefusedDemoRequest {
  return { type: 'refused', message, param };
}

function asksUsage(body: JsonObject): boolean {
  const options = body['stream_options'];
  return isJsonObject(options) && options['include_usage'] === true;
}

function countWords(text: string): number {
  let words = 0;
  let inside = false;
  for (let at = 0; at < text.length; at++) {
    const space = text.charCodeAt(at) <= 32;
    if (!space && !inside) words++;
    inside = !space;
  }
  return words;
}

function isAbsent(value: unknown): value is null | undefined {
  return value === undefined || value === null;
}

function isPositive(value: unknown): value is number {
  return typeof value === 'number' && Number.isInteger(value) && value >= 1;
}
