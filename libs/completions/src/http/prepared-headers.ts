import type { FastifyReply } from 'fastify';

/** What the framework had prepared for an answer (CORS), for one that is written by hand. */
export function preparedHeaders(reply: FastifyReply): Record<string, string> {
  return Object.fromEntries(
    Object.entries(reply.getHeaders()).map(([name, value]) => [name, String(value)]),
  );
}
