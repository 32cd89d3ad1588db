/** Families of models that take images, as far as their names say; `*` stands for anything. */
export const DEFAULT_IMAGE_MODELS: readonly string[] = [
  ...['gpt-4o*', 'gpt-4.1*', 'gpt-4-turbo*', 'gpt-5*', 'o1*', 'o3*', 'o4*', 'claude-*'],
  ...['gemini-*', 'gemma-3*', 'llama-4*', 'grok-4*', 'pixtral*', 'llava*', '*vision*', '*-vl*'],
];

/** Whether a model is one of these; a provider before its name (`openai/`) does not count. */
export function isOneOf(names: readonly string[], model: string): boolean {
  const [bare = ''] = model.toLowerCase().split('/').slice(-1);
  return names.some((name) => fits(bare, name.toLowerCase().split('*')));
}

/** Whether a text consists of the parts in their order, with anything between them. */
function fits(text: string, [first = '', ...rest]: readonly string[]): boolean {
  if (!text.startsWith(first)) return false;
  const last = rest.pop();
  if (last === undefined) return text === first;
  let at = first.length;
  for (const part of rest) {
    const found = text.indexOf(part, at);
    if (found === -1) return false;
    at = found + part.length;
  }
  return text.length - last.length >= at && text.endsWith(last);
}
