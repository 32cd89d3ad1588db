import { failureOf } from '#libs/domain';
import type { CallRecord } from '#libs/store';
import type { CallToolResult } from '@modelcontextprotocol/server';
import { isSpecType } from '@modelcontextprotocol/server';

/**
 * What a client of MCP is told of a call: what a tool of MCP returns as it stands, a string as
 * text, and any other JSON as text and, where it is an object, as structured content.
 */
export function callResult(record: CallRecord | null): CallToolResult {
  if (record === null) return failed('The device that has the tool went away, or is overloaded.');
  const error = failureOf({ ...record, outcome: record.outcome ?? 'cancelled' });
  return error === null ? returned(record.result) : failed(error);
}

function returned(result: unknown): CallToolResult {
  if (typeof result === 'string') return { content: [textBlock(result)] };
  if (isBlocks(result) && isSpecType.CallToolResult(result)) return result;
  const text = textBlock(JSON.stringify(result ?? null));
  const isObject = typeof result === 'object' && result !== null && !Array.isArray(result);
  return { content: [text], ...(isObject ? { structuredContent: { ...result } } : {}) };
}

/** The type alone takes any object: its content has a default. */
function isBlocks(result: unknown): result is { readonly content: readonly unknown[] } {
  const isObject = typeof result === 'object' && result !== null && 'content' in result;
  return isObject && Array.isArray(result.content);
}

function failed(error: string): CallToolResult {
  return { content: [textBlock(error)], isError: true };
}

function textBlock(text: string) {
  return { type: 'text' as const, text };
}
