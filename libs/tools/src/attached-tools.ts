import type { SessionState, SurfaceTool } from '#libs/domain';
import { surfaceTools } from '#libs/domain';
import { ToolReads } from '#libs/store';
import { Injectable } from '@nestjs/common';

/** A surface and the tools that it declares. */
export interface ToolSurface {
  readonly attachId: string;
  readonly tools: readonly SurfaceTool[];
}

/** The tools of the surface that is attached to a session. */
@Injectable()
export class AttachedTools {
  constructor(private readonly reads: ToolReads) {}

  /** Null where no surface is there, or it has none. `state`: the session as it is now. */
  async of(sessionId: string, state: SessionState): Promise<ToolSurface | null> {
    if (state.phase !== 'open' || state.surface.type !== 'attached') return null;
    const { attachId, context } = state.surface.attachment;
    // What has no tools has said nothing of them.
    if ((context.mcp_tools ?? []).length === 0) return null;
    const schemas = await this.reads.schemas(sessionId, attachId);
    return { attachId, tools: surfaceTools(context, schemas) };
  }
}
