import type { JsonObject, ToolSchema } from '#libs/protocol';

/** What came of a call. */
export type ToolOutcome =
  /** Any JSON, or what a tool of MCP returns. */
  | { readonly type: 'result'; readonly result: unknown }
  | { readonly type: 'error'; readonly error: string };

/** Something that the device can do for the model. */
export interface Tool {
  readonly name: string;
  /** What the model is told of it. */
  readonly schema: ToolSchema;
  /** Ends early where `signal` aborts. A rejection counts as an error with its message. */
  run(input: JsonObject, signal: AbortSignal): Promise<ToolOutcome>;
}

export function result(value: unknown): ToolOutcome {
  return { type: 'result', result: value };
}

export function failure(error: string): ToolOutcome {
  return { type: 'error', error };
}

/** The JSON Schema of an object that may have these fields; those of `required` it must have. */
export function inputOf(
  properties: Readonly<Record<string, { readonly type: string; readonly description: string }>>,
  required: readonly string[] = [],
): NonNullable<ToolSchema['inputSchema']> {
  return { type: 'object', properties, required };
}

/** A text that a call brings; null where it brings none, or no text. */
export function textIn(input: JsonObject, field: string): string | null {
  const text = input[field];
  return typeof text === 'string' && text.trim() !== '' ? text : null;
}
