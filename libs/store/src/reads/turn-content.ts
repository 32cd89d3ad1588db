import type { UpstreamAnswer } from '#libs/domain';
import { turnText } from '#libs/domain';
import type { JsonObject, Message, MessageAbout, ToolPolicy, TurnError } from '#libs/protocol';
import { NO_TOOL_POLICY } from '#libs/protocol';

/** What was asked: the content of `turn.started`. */
export interface RequestContent {
  readonly messages: readonly Message[];
  readonly system: readonly Message[] | null;
  readonly options: JsonObject;
  readonly toolPolicy: ToolPolicy;
  /** Of copied messages: where each comes from. */
  readonly about: readonly MessageAbout[] | null;
}

export function readRequest(text: string): RequestContent {
  const content = JSON.parse(text) as Partial<RequestContent> & { tool_policy?: ToolPolicy };
  const { messages = [], system = null, options = {}, about = null } = content;
  const { tool_policy: toolPolicy = NO_TOOL_POLICY } = content;
  return { messages, system, options, toolPolicy, about };
}

/** What came of a turn: the content of the event that ended it. */
export interface EndContent {
  /** What the model said last. */
  readonly messages: readonly Message[];
  /** What it had said to the human in the rounds before, joined. */
  readonly said: string;
  /** What the model said besides, where more choices were asked of it. */
  readonly alternatives: readonly Message[];
  /** Why the model ended, as it said it. */
  readonly finishReason: string | null;
  /** What the model answered instead of a completion, where that was kept. */
  readonly upstream: UpstreamAnswer | null;
}

/** Null for a turn that has not ended, or was ended by another's event. */
export function readEnd(text: string | null): EndContent {
  if (text === null) return NOTHING;
  const content = JSON.parse(text) as Partial<EndContent> & {
    readonly finish_reason?: string;
    readonly answer?: UpstreamAnswer;
  };
  const { messages = [], said = '', alternatives = [] } = content;
  const { finish_reason: finishReason = null, answer: upstream = null } = content;
  return { messages, said, alternatives, finishReason, upstream };
}

const NOTHING: EndContent = {
  messages: [],
  said: '',
  alternatives: [],
  finishReason: null,
  upstream: null,
};

/** What a turn says to a human, of all its rounds. */
export function wholeText({ messages, said }: EndContent): string {
  return said + turnText(messages);
}

/** Why a turn did not complete: its code, and the content of the event that ended it. */
export function readError(code: string | null, text: string | null): TurnError | null {
  if (code === null) return null;
  if (text === null) return { code, message: 'Another turn was started in its place.' };
  const { message = '' } = JSON.parse(text) as { readonly message?: string };
  return { code, message };
}
