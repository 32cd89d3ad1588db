import type { JsonObject, SurfaceContext, ToolSchemas } from '#libs/protocol';

/** A tool of a surface, as models are offered it. */
export interface SurfaceTool {
  /** As the surface knows it. */
  readonly toolName: string;
  /** As models know it. */
  readonly functionName: string;
  readonly description: string | null;
  /** JSON Schema of an object; null where anything goes. */
  readonly inputSchema: JsonObject | null;
  readonly timeoutMs: number;
}

/** Names of functions that are a surface's begin so. */
export const SURFACE_PREFIX = 'surface_';

/** How long a call may take where the surface says nothing of it, in ms. */
const TIMEOUT_MS = 30_000;

/** The longest name of a function that models take, and what else they take none with. */
const LONGEST_NAME = 64;
const NOT_IN_NAMES = /[^a-zA-Z0-9_-]/g;

/**
 * The tools that a surface declares, each once. A function's name is the tool's with a prefix;
 * where models would not take that, what they would not take is replaced, and of two tools with one
 * such name the first is offered.
 */
export function surfaceTools(
  { mcp_tools: names }: SurfaceContext,
  schemas: ToolSchemas,
): readonly SurfaceTool[] {
  const tools = new Map<string, SurfaceTool>();
  for (const toolName of new Set(names)) {
    const functionName = `${SURFACE_PREFIX}${toolName}`
      .replaceAll(NOT_IN_NAMES, '_')
      .slice(0, LONGEST_NAME);
    const schema = Object.hasOwn(schemas, toolName) ? schemas[toolName] : null;
    if (tools.has(functionName)) continue;
    tools.set(functionName, {
      toolName,
      functionName,
      description: schema?.description ?? null,
      inputSchema: schema?.inputSchema ?? null,
      timeoutMs: Math.ceil((schema?.timeout_seconds ?? 0) * 1000) || TIMEOUT_MS,
    });
  }
  return [...tools.values()];
}
