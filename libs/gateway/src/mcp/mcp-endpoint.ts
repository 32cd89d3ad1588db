import type { OpenSession } from '#libs/domain';
import type { Actor, JsonObject } from '#libs/protocol';
import { SBP_VERSION, SbpError } from '#libs/protocol';
import { AttachedTools, argumentProblem, noSuchTool, toldSchema } from '#libs/tools';
import type { CallToolResult, ServerEventBus, Tool } from '@modelcontextprotocol/server';
import {
  McpServer,
  ProtocolError,
  ProtocolErrorCode,
  WebStandardStreamableHTTPServerTransport,
  createMcpHandler,
} from '@modelcontextprotocol/server';
import { Injectable, Logger } from '@nestjs/common';
import { callResult } from './call-result.js';
import { ClientCalls } from './client-calls.js';
import { ToolChanges } from './tool-changes.js';

/** A session as a client of MCP uses it. */
export interface McpSession {
  readonly sessionId: string;
  /** As it was when the request came. */
  readonly state: OpenSession;
  readonly by: Actor;
}

/**
 * The tools of a session's surface for clients of MCP, by the official SDK and without any state
 * between requests: each is served by a server of its own, on any replica. A client that listens
 * for changes holds a stream: by `subscriptions/listen`, or by `GET` as clients before 2026 do.
 */
@Injectable()
export class McpEndpoint {
  private readonly logger = new Logger('McpEndpoint');

  constructor(
    private readonly tools: AttachedTools,
    private readonly calls: ClientCalls,
    private readonly changes: ToolChanges,
  ) {}

  /** @throws SbpError SBP_RATE_LIMITED where too many listen */
  async serve(session: McpSession, request: Request): Promise<Response> {
    if (request.method === 'GET') return this.listen(session, request);
    const handler = createMcpHandler(() => this.server(session), {
      bus: this.busOf(session, request.signal),
      maxSubscriptions: this.changes.isFull(session.sessionId) ? 0 : 1,
      maxRequestBodySize: Number.MAX_SAFE_INTEGER,
      onerror: (error) => this.logger.debug(`a request of MCP: ${error.message}`),
    });
    return handler.fetch(request);
  }

  /** The stream of a client that knows no subscriptions: it is told of every change. */
  private async listen(session: McpSession, request: Request): Promise<Response> {
    const server = this.server(session);
    const transport = new WebStandardStreamableHTTPServerTransport({});
    await server.connect(transport);
    const response = await transport.handleRequest(request);
    if (!response.ok) return response;
    // No `await` may stand between this check and the listening, because others begin meanwhile.
    if (this.changes.isFull(session.sessionId)) {
      await server.close();
      throw new SbpError('SBP_RATE_LIMITED', 'Too many clients listen here.', { retryAfter: 5 });
    }
    const end = this.onChange(session, () => {
      server.server.sendToolListChanged().catch((error: unknown) => {
        this.logger.debug(`a change was not told: ${String(error)}`);
      });
    });
    whenAborted(request.signal, () => {
      end();
      void server.close();
    });
    return response;
  }

  /** The tools differ from request to request: they are registered by hand. */
  private server(session: McpSession): McpServer {
    const mcp = new McpServer(
      { name: 'statebridge', version: SBP_VERSION },
      { capabilities: { tools: { listChanged: true } } },
    );
    mcp.server.setRequestHandler('tools/list', async () => ({ tools: await this.list(session) }));
    mcp.server.setRequestHandler('tools/call', async ({ params }) =>
      this.call(session, params.name, params.arguments ?? {}),
    );
    return mcp;
  }

  private async list({ sessionId, state }: McpSession): Promise<Tool[]> {
    const surface = await this.tools.of(sessionId, state);
    return (surface?.tools ?? []).map((tool) => ({
      name: tool.toolName,
      ...(tool.description === null ? {} : { description: tool.description }),
      inputSchema: { ...toldSchema(tool), type: 'object' },
    }));
  }

  private async call(
    session: McpSession,
    name: string,
    input: JsonObject,
  ): Promise<CallToolResult> {
    const { sessionId, state, by } = session;
    const surface = await this.tools.of(sessionId, state);
    const tool = surface?.tools.find(({ toolName }) => toolName === name);
    if (surface === null || tool === undefined) throw invalid(noSuchTool(name));
    const problem = argumentProblem(tool, input);
    if (problem !== null) throw invalid(problem);
    const { attachId } = surface;
    return callResult(
      await this.calls.call({ sessionId, state, attachId, tool, toolInput: input, by }),
    );
  }

  private busOf(session: McpSession, signal: AbortSignal): ServerEventBus {
    return {
      publish: () => undefined,
      subscribe: (listener) => {
        const end = this.onChange(session, () => listener({ kind: 'tools_list_changed' }));
        whenAborted(signal, end);
        return end;
      },
    };
  }

  private onChange({ sessionId, state }: McpSession, listener: () => void): () => void {
    const { surface } = state;
    const attachId = surface.type === 'attached' ? surface.attachment.attachId : null;
    return this.changes.listen(sessionId, attachId, listener);
  }
}

/** At once where it is aborted already, because then it tells of nothing any more. */
function whenAborted(signal: AbortSignal, then: () => void): void {
  if (signal.aborted) then();
  else signal.addEventListener('abort', then, { once: true });
}

function invalid(problem: string): ProtocolError {
  return new ProtocolError(ProtocolErrorCode.InvalidParams, problem);
}
