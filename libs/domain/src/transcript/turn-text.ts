import type { Message } from '#libs/protocol';

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
