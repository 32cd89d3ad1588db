import { z } from 'zod';

/** `wait`: calls wait for a surface that has their tools; `fail`: they are cancelled. */
export const OnSurfaceLost = z.enum(['fail', 'wait']);
export type OnSurfaceLost = z.infer<typeof OnSurfaceLost>;

/** What a request says of the calls of tools that its turn makes. */
export const ToolPolicy = z.object({
  /** What becomes of a call whose surface has gone. */
  on_surface_lost: OnSurfaceLost.default('fail'),
  /** How long a call waits for a surface that has its tool, or for an approval. */
  wait_seconds: z.int().min(1).max(2_592_000).default(86_400),
  /** Tools whose calls wait for an approval before they leave: `gps`, or `surface_gps`. */
  approve: z.array(z.string().min(1).max(64)).max(128).default([]),
});
export type ToolPolicy = Readonly<z.infer<typeof ToolPolicy>>;

/** Of a request that says nothing of it. */
export const NO_TOOL_POLICY: ToolPolicy = ToolPolicy.parse({});
