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

/** By the names of the tools. */
export const ToolSchemas = z.record(z.string().max(64), ToolSchema.nullable());
export type ToolSchemas = Readonly<z.infer<typeof ToolSchemas>>;

/**
 * What a surface says of itself when it attaches. Everything is optional, unknown fields and
 * capabilities are tolerated, and null, absent and `{}` mean the same: a surface that streams and
 * shows markdown.
 */
export const SurfaceContext = z
  .object({
    device_type: z.string().max(64).nullish(),
    max_output_tokens: z.int().min(1).nullish(),
    ui_capabilities: z.array(z.string().max(64)).max(64).nullish(),
    locale: z.string().max(64).nullish(),
    surface_id: z.string().max(256).nullish(),
    mcp_tools: z.array(z.string().min(1).max(64)).max(128).nullish(),
    mcp_tool_schemas: ToolSchemas.nullish(),
    /**
     * True for a client that answers every PING itself, so that its WebSocket library's pong proves
     * nothing.
     */
    acknowledges: z.boolean().nullish(),
    /** False for a client that reads no field of a frame under its second name. */
    aliases: z.boolean().nullish(),
  })
  .nullish();
export type SurfaceContext = Readonly<NonNullable<z.infer<typeof SurfaceContext>>>;
