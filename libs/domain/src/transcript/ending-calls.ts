import type { Message } from '#libs/protocol';

/**
 * The names of the tools that a turn ended with calls of, one for each call: the client's own,
 * because every other call is answered within the turn.
 */
export function endingCalls(output: readonly Message[]): readonly string[] {
  const last = output.at(-1);
  if (last?.role !== 'assistant') return [];
  return (last.tool_calls ?? []).flatMap((call) => {
    // What is called that is no function stands in a field that has the name of the type.
    const called = call['function'] ?? call[String(call['type'])];
    const name = isNamed(called) ? called.name : null;
    return typeof name === 'string' ? [name] : [];
  });
}

function isNamed(value: unknown): value is { readonly name: unknown } {
  return typeof value === 'object' && value !== null && 'name' in value;
}
