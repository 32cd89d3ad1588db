import { z } from 'zod';

export const DEVICE_TYPES = ['mobile', 'desktop', 'iot', 'browser', 'voice', 'unknown'] as const;
export const UI_CAPABILITIES = ['markdown', 'tables', 'images', 'audio', 'streaming'] as const;

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
    /**
     * True for a client that answers every PING itself, so that its WebSocket library's pong proves
     * nothing.
     */
    acknowledges: z.boolean().nullish(),
  })
  .nullish();
export type SurfaceContext = Readonly<NonNullable<z.infer<typeof SurfaceContext>>>;
