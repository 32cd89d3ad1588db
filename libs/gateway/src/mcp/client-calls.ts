import { randomUUID } from 'node:crypto';
import type { OpenSession, SurfaceTool } from '#libs/domain';
import type { Actor, JsonObject } from '#libs/protocol';
import { SbpError } from '#libs/protocol';
import { SessionLog } from '#libs/session-log';
import type { CallRecord } from '#libs/store';
import { ProcessIdentity, ToolReads } from '#libs/store';
import { CallWatch } from '#libs/tools';
import { Injectable } from '@nestjs/common';

/** A call that a client of MCP makes. */
export interface ClientCall {
  readonly sessionId: string;
  /** The session as it is now. */
  readonly state: OpenSession;
  /** The attachment that is called. */
  readonly attachId: string;
  readonly tool: SurfaceTool;
  readonly toolInput: JsonObject;
  readonly by: Actor;
}

/** How long the log, and then the fold, may take for a call, in ms. */
const LOG_MS = 10_000;

/**
 * Calls tools of the surface for clients of MCP, through the log as models do [A18]. It sends
 * nothing itself: the gateway that has the surface sees the call in the fold. It waits for the
 * outcome whether or not its client is still there.
 */
@Injectable()
export class ClientCalls {
  constructor(
    private readonly sessionLog: SessionLog,
    private readonly tools: ToolReads,
    private readonly watch: CallWatch,
    private readonly identity: ProcessIdentity,
  ) {}

  /**
   * What has come of it; null where it was not made: its surface has gone, or too many are open.
   * @throws SbpError SBP_UPSTREAM_UNAVAILABLE where the log does not answer
   */
  async call({ sessionId, state, attachId, tool, toolInput, by }: ClientCall) {
    const callId = randomUUID();
    const { toolName, timeoutMs } = tool;
    const called = { callId, attachId, toolName, toolInput, timeoutMs };
    const command = { type: 'CallTool', ...called, caller: this.identity.address } as const;
    const execution = { sessionId, state, by, command };
    const executed = await this.sessionLog.executeAndFold(execution, LOG_MS);
    if (executed.type === 'folded') return this.outcome(sessionId, callId);
    throw new SbpError('SBP_UPSTREAM_UNAVAILABLE', 'The log does not take the call. Try later.', {
      retryAfter: 1,
    });
  }

  private async outcome(sessionId: string, callId: string): Promise<CallRecord | null> {
    return this.watch.until<CallRecord | null>(sessionId, async (state) => {
      const open = state.phase === 'open' ? state.calls : [];
      const calls = open.filter((call) => call.callId === callId);
      if (calls.length > 0) return { type: 'open', calls };
      return { type: 'over', value: await this.tools.call(sessionId, callId) };
    });
  }
}
