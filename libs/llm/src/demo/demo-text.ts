import type { DemoRequest } from './demo-request.js';

const QUOTED_WORDS = 8;
const QUOTED_LENGTH = 60;
/** Words that may stand before the notes: what varies, and which choice it is. */
const MARKS = 3;

const FILLER = (
  'river lantern quiet harbour amber window winter garden copper meadow paper bridge silver morning cedar island ' +
  'gentle thunder velvet compass orchard distant ember willow marble canyon feather twilight anchor saffron glacier harvest'
).split(' ');

/**
 * The words that the demo model says as one choice of an answer: its notes, who it is, what it was
 * asked, then filler. Each word but the first begins with its space, so the text is all of them
 * joined. `random` (0 ≤ r < 1) makes the text vary from its first word on; without it the text
 * follows from the request. `cut` says that the cap left some of them out.
 */
export function demoWords(
  request: DemoRequest,
  choice: number,
  random: (() => number) | null,
): { readonly words: readonly string[]; readonly cut: boolean } {
  const words: string[] = [];
  if (random !== null)
    words.push(`[${pick(random)}-${pick(random)}-${Math.floor(random() * 1e6)}]`);
  if (choice > 0) words.push(`(Choice`, `${choice + 1})`);
  const notes = request.notes === '' ? [] : request.notes.split(/\s+/);
  // As many for each choice, whatever marks it has.
  const wanted =
    notes.length === 0 ? request.tokens : Math.max(request.tokens, notes.length + MARKS);
  const count = Math.min(wanted, request.cap);
  words.push(...notes);
  words.push(..."I am StateBridge's built-in demo model, not a real LLM.".split(' '));
  words.push(
    'You',
    'sent',
    String(request.messages),
    request.messages === 1 ? 'message;' : 'messages;',
  );
  words.push(...'the last of yours begins:'.split(' '), ...quote(request.lastUserText));
  words.push(
    ...'Set SBP_LLM_BASE_URL to hear from a real one. Now some words to watch:'.split(' '),
  );
  for (let next = 0; words.length < count; next++) {
    words.push(random === null ? filler(next + choice) : pick(random));
  }
  words.length = count;
  return { words: words.map((word, at) => (at === 0 ? word : ` ${word}`)), cut: count < wanted };
}

function quote(text: string): readonly string[] {
  // Cut first: a message can be megabytes long. By code points, so that no character is torn.
  const points = Array.from(text.trimStart().slice(0, 4 * QUOTED_LENGTH));
  const all = points.slice(0, QUOTED_LENGTH).join('').trim().split(/\s+/);
  const words = all.slice(0, QUOTED_WORDS);
  const cut = all.length > QUOTED_WORDS || points.length > QUOTED_LENGTH;
  return `“${words.join(' ')}${cut ? '…' : ''}”`.split(' ');
}

function filler(at: number): string {
  return FILLER[at % FILLER.length] ?? '';
}

function pick(random: () => number): string {
  return filler(Math.floor(random() * FILLER.length));
}
