import { z } from 'zod';

export const DEVICE_TYPES = ['mobile', 'desktop', 'iot', 'browser', 'voice', 'unknown'] as const;
export const UI_CAPABILITIES = ['markdown', 'tables', 'images', 'audio', 'streaming'] as const;

/** What a surface says of one of its tools. */
export const ToolSchema = z.looseObject({
  description: z.string().max(4_096).nullish(),
  /** JSON Schema of an object; without one anything goes. */
  inputSchema: z.looseObject({ type: z.literal('object').nullish() }).nullish(),
  /** How long a call may take. */
  timeout_seconds: z.number().positive().max(86_400).nullish(),
});
export type ToolSchema = Readonly<z.infer<typeof ToolSchema>>;

/** How many tools of a surface are taken, and how many characters their names have at most. */
const MOST_TOOLS = 128;
const LONGEST_NAME = 64;

/** By the names of the tools. */
export const ToolSchemas = z.record(z.string().max(LONGEST_NAME), ToolSchema.nullable());
export type ToolSchemas = Readonly<z.infer<typeof ToolSchemas>>;

const Context = z.object({
  device_type: z.string().max(64).nullish(),
  max_output_tokens: z.int().min(1).nullish(),
  ui_capabilities: z.array(z.string().max(64)).max(64).nullish(),
  locale: z.string().max(64).nullish(),
  surface_id: z.string().max(256).nullish(),
  mcp_tools: z.array(z.string().min(1).max(LONGEST_NAME)).max(MOST_TOOLS).nullish(),
  mcp_tool_schemas: ToolSchemas.nullish(),
  /**
   * True for a client that answers every PING itself, so that its WebSocket library's pong proves
   * nothing.
   */
  acknowledges: z.boolean().nullish(),
  /** False for a client that reads no field of a frame under its second name. */
  aliases: z.boolean().nullish(),
});

/**
 * What a surface says of itself when it attaches. Everything is optional, unknown fields and
 * capabilities are tolerated, and null, absent and `{}` mean the same: a surface that streams and
 * shows markdown.
 */
export const SurfaceContext = Context.nullish();
export type SurfaceContext = Readonly<NonNullable<z.infer<typeof SurfaceContext>>>;

/** As it is sent: a surface may have more tools, and longer names, than are taken. */
export const SentContext = Context.extend({
  /** The first 128 names of 1 to 64 characters are taken, each once. */
  mcp_tools: z.array(z.string()).nullish(),
  mcp_tool_schemas: z.record(z.string(), ToolSchema.nullable()).nullish(),
}).nullish();

/** What is taken of a context. */
export function takenContext(sent: z.infer<typeof SentContext>): SurfaceContext {
  const { mcp_tools: names, mcp_tool_schemas: schemas, ...context } = sent ?? {};
  const valid = (names ?? []).filter((name) => name !== '' && name.length <= LONGEST_NAME);
  const tools = new Set([...new Set(valid)].slice(0, MOST_TOOLS));
  const ofTools = Object.entries(schemas ?? {}).filter(([name]) => tools.has(name));
  return {
    ...context,
    ...(names === undefined ? {} : { mcp_tools: [...tools] }),
    ...(schemas === undefined ? {} : { mcp_tool_schemas: Object.fromEntries(ofTools) }),
  };
}
