import type { IncomingHttpHeaders } from 'node:http';
import { SessionAccess } from '#libs/access';
import { requireUuid } from '#libs/protocol';
import { Body, Controller, Delete, Get, Param, Post, Req, Res } from '@nestjs/common';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { McpEndpoint } from './mcp-endpoint.js';

/** `/v1/sbp/sessions/{id}/mcp`: MCP's Streamable HTTP, with the session's token as Bearer. */
@Controller('v1/sbp/sessions/:session_id/mcp')
export class McpController {
  constructor(
    private readonly access: SessionAccess,
    private readonly endpoint: McpEndpoint,
  ) {}

  @Post()
  async post(
    @Param('session_id') id: string,
    @Body() body: Buffer | undefined,
    @Req() request: FastifyRequest,
    @Res() reply: FastifyReply,
  ): Promise<void> {
    await this.serve(id, request, reply, body ?? Buffer.alloc(0));
  }

  @Get()
  async get(
    @Param('session_id') id: string,
    @Req() request: FastifyRequest,
    @Res() reply: FastifyReply,
  ): Promise<void> {
    await this.serve(id, request, reply);
  }

  @Delete()
  async delete(
    @Param('session_id') id: string,
    @Req() request: FastifyRequest,
    @Res() reply: FastifyReply,
  ): Promise<void> {
    await this.serve(id, request, reply);
  }

  private async serve(
    id: string,
    request: FastifyRequest,
    reply: FastifyReply,
    body?: Buffer,
  ): Promise<void> {
    // Before anything is awaited: a client that has left must not hold a place.
    const gone = new AbortController();
    reply.raw.once('close', () => gone.abort());
    const sessionId = requireUuid(id, 'session_id');
    const { session: state, by } = await this.access.use(
      sessionId,
      request.headers,
      'principal or session token',
    );
    const web = new Request(new URL(request.url, 'http://localhost'), {
      method: request.method,
      headers: headersOf(request.headers),
      signal: gone.signal,
      ...(body === undefined ? {} : { body: new Uint8Array(body) }),
    });
    await reply.send(begun(await this.endpoint.serve({ sessionId, state, by }, web)));
  }
}

/** The head of an event stream leaves with its first byte: a client must not wait for an event. */
function begun(response: Response): Response {
  const { body, headers } = response;
  if (body === null || headers.get('content-type') !== 'text/event-stream') return response;
  async function* withComment(stream: ReadableStream<Uint8Array>) {
    yield COMMENT;
    yield* stream;
  }
  return new Response(ReadableStream.from(withComment(body)), response);
}

const COMMENT = new TextEncoder().encode(':\n\n');

function headersOf(headers: IncomingHttpHeaders): Headers {
  const pairs = Object.entries(headers).flatMap(([name, value]) =>
    value === undefined ? [] : [[name, String(value)] as [string, string]],
  );
  return new Headers(pairs);
}
