import type { UpstreamAnswer } from '#libs/domain';
import type { JsonObject, Message, TurnError } from '#libs/protocol';

/** What was asked: the content of `turn.started`. */
export interface RequestContent {
  readonly messages: readonly Message[];
  readonly system: readonly Message[] | null;
  readonly options: JsonObject;
}

export function readRequest(text: string): RequestContent {
  const content = JSON.parse(text) as Partial<RequestContent>;
  const { messages = [], system = null, options = {} } = content;
  return { messages, system, options };
}

/** What the model said: the content of `turn.completed`; nothing of a turn that ended otherwise. */
export function readOutput(text: string | null): readonly Message[] {
  if (text === null) return [];
  const { messages = [] } = JSON.parse(text) as { readonly messages?: readonly Message[] };
  return messages;
}

/** Why the model ended, as it said it. */
export function readFinishReason(text: string | null): string | null {
  if (text === null) return null;
  return (JSON.parse(text) as { readonly finish_reason?: string }).finish_reason ?? null;
}

/** What the model answered instead of a completion, where that was kept. */
export function readUpstreamAnswer(text: string | null): UpstreamAnswer | null {
  if (text === null) return null;
  return (JSON.parse(text) as { readonly answer?: UpstreamAnswer }).answer ?? null;
}

/** What the model said besides, where more choices were asked of it. */
export function readAlternatives(text: string | null): readonly Message[] {
  if (text === null) return [];
  const content = JSON.parse(text) as { readonly alternatives?: readonly Message[] };
  return content.alternatives ?? [];
}

/** Why a turn did not complete: its code, and the content of the event that ended it. */
export function readError(code: string | null, text: string | null): TurnError | null {
  if (code === null) return null;
  if (text === null) return { code, message: 'Another turn was started in its place.' };
  const { message = '' } = JSON.parse(text) as { readonly message?: string };
  return { code, message };
}
