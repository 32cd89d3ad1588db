import type { Message } from '#libs/protocol';

/** The text that a turn says to a human: what its assistant messages hold, joined. */
export function turnText(output: readonly Message[]): string {
  return output
    .filter((message) => message.role === 'assistant')
    .flatMap((message) => textsOf(message.content))
    .join('');
}

/** The texts of a message's parts. */
export function textsOf(content: Message['content']): readonly string[] {
  if (content === undefined || content === null) return [];
  if (typeof content === 'string') return [content];
  return content.flatMap((part) =>
    part.type === 'text' && typeof part['text'] === 'string' ? [part['text']] : [],
  );
}
