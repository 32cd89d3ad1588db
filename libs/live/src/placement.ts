/** Where a runner's message stands to what a reader already has, both in UTF-16 code units. */
export type Placement =
  /** It goes on from what is there; possibly with nothing new. */
  | { readonly type: 'next'; readonly text: string }
  /** Something before it never came. */
  | { readonly type: 'gap' };

/** Places the text of one message; overlap is trimmed. */
export function place(
  received: number,
  message: { readonly offset: number; readonly text: string },
): Placement {
  if (message.offset > received) return { type: 'gap' };
  return { type: 'next', text: message.text.slice(received - message.offset) };
}
