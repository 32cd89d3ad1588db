import { textOf } from '../completion/assistant-message.js';
import { InvalidSetting } from '../invalid-setting.js';
import type { JsonObject } from '../json.js';
import { isJsonObject, objectsOf } from '../json.js';
import type { WrittenOption } from './demo-options.js';

/** Calls that one line may ask for. */
export const MAX_CALLS = 32;
const MAX_ROUNDS = 64;
/** Code points of a result's text that the answer quotes. */
const QUOTED_RESULT = 200;

/** A call of a tool, as a steering line asks for it, or as the model makes it. */
export interface DemoCall {
  /** In a line, the prefix `surface_` may be left out. */
  readonly tool: string;
  /** JSON of an object, as it was written. */
  readonly input: string;
}

/** What a line asks for: the same calls at once, in so many rounds. */
export interface AskedCalls {
  readonly calls: readonly DemoCall[];
  readonly rounds: number;
}

/** What comes of them in one answer. */
export interface PlannedCalls {
  /** To be made in this answer; their tools are named as the request offers them. */
  readonly calls: readonly DemoCall[];
  /** What a text has to say of them: results that are there, and calls that cannot be made. */
  readonly notes: string;
}

/** Reads `<tool>` or `<tool>:<JSON object>`. Throws `InvalidSetting`. */
export function readCall({ name, text }: WrittenOption): DemoCall {
  const colon = text.indexOf(':');
  const tool = colon < 0 ? text : text.slice(0, colon);
  const input = colon < 0 ? '{}' : text.slice(colon + 1);
  if (tool === '' || !isObjectText(input))
    throw new InvalidSetting(name, 'must be TOOL or TOOL:{…}, a JSON object without spaces');
  return { tool, input };
}

/** Throws `InvalidSetting`. */
export function readRounds({ name, text }: WrittenOption): number {
  const rounds = /^\d{1,2}$/.test(text) ? Number(text) : 0;
  if (rounds < 1 || rounds > MAX_ROUNDS)
    throw new InvalidSetting(name, `must be a whole number from 1 to ${MAX_ROUNDS}`);
  return rounds;
}

/**
 * Decides between calling and answering. `messages` are those behind the message that asks: each
 * assistant message with calls among them is a round that was made.
 */
export function planCalls(
  asked: AskedCalls,
  { tools, tool_choice: choice }: JsonObject,
  messages: readonly JsonObject[],
): PlannedCalls {
  if (asked.calls.length === 0) return { calls: [], notes: '' };
  const offered = new Set(objectsOf(tools).map((tool) => nameOf(tool)));
  const made = messages.filter((message) => objectsOf(message['tool_calls']).length > 0);
  const calls: DemoCall[] = [];
  const problems: string[] = [];
  for (const { tool, input } of asked.calls) {
    const name = [tool, `surface_${tool}`].find((each) => offered.has(each));
    if (name === undefined)
      problems.push(`I was told to call '${tool}', but no such tool was offered.`);
    else if (made.length >= asked.rounds) continue;
    else if (choice === 'none')
      problems.push(`I was told to call '${name}', but tool_choice is none.`);
    else calls.push({ tool: name, input });
  }
  if (calls.length > 0) return { calls, notes: '' };
  return { calls, notes: [...quotedResults(messages, made), ...problems].join(' ') };
}

/** One sentence for each result; the last ones, where there are more than one line can ask for. */
function quotedResults(
  messages: readonly JsonObject[],
  made: readonly JsonObject[],
): readonly string[] {
  const names = new Map(
    made
      .flatMap((message) => objectsOf(message['tool_calls']))
      .map((call) => [call['id'], nameOf(call)]),
  );
  return messages
    .filter((message) => message['role'] === 'tool')
    .slice(-MAX_CALLS)
    .map((message) => {
      const name = names.get(message['tool_call_id']) ?? 'a tool';
      return `The answer of ${name}: “${shortResult(message['content'])}”.`;
    });
}

function shortResult(content: unknown): string {
  // Cut first: a result can be megabytes long. By code points, so that no character is torn.
  const points = Array.from(textOf(content).slice(0, 4 * QUOTED_RESULT));
  const text = points.slice(0, QUOTED_RESULT).join('');
  const others = objectsOf(content)
    .map((part) => part['type'])
    .filter((type) => type !== 'text')
    .map((type) => (/image/.test(String(type)) ? '[an image]' : `[${String(type).slice(0, 32)}]`));
  return [points.length > QUOTED_RESULT ? `${text}…` : text, ...others]
    .filter((part) => part !== '')
    .join(' ');
}

/** Of a tool or of a call: both have it at the same place. */
function nameOf({ function: called }: JsonObject): string {
  const name = isJsonObject(called) ? called['name'] : '';
  return typeof name === 'string' ? name : '';
}

function isObjectText(text: string): boolean {
  try {
    return isJsonObject(JSON.parse(text));
  } catch {
    return false;
  }
}
