import type { IncomingMessage } from 'node:http';
import { isIP } from 'node:net';
import { isLoopbackAddress } from '#libs/auth';
import { HEADERS } from '#libs/protocol';
import { withRequest } from '#libs/telemetry';
import type { FastifyReply, FastifyRequest } from 'fastify';

/** Runs `work` for a request, so that logs and events can tell which one it was. */
export function inRequest<T>(request: FastifyRequest, work: () => T): T {
  return withRequest({ requestId: request.id, address: clientAddress(request.raw) }, work);
}

/** Puts the request's id on its answer, also on one that is written past the framework. */
export function nameRequest(request: FastifyRequest, reply: FastifyReply): void {
  if (!reply.raw.headersSent) reply.raw.setHeader(HEADERS.requestId, request.id);
}

/**
 * The IP address that a request came from. `X-Forwarded-For` is believed only where a proxy on this
 * machine brought the request, because anybody else could write anything: then it is the last
 * address in it that is not of this machine.
 */
function clientAddress({ socket, headers }: IncomingMessage): string | null {
  const peer = plain(socket.remoteAddress ?? '');
  if (peer === null || !isLoopbackAddress(peer)) return peer;
  const forwarded = String(headers['x-forwarded-for'] ?? '').split(',');
  let client = peer;
  for (const text of forwarded.reverse()) {
    const address = plain(text.trim());
    if (address === null) break;
    client = address;
    if (!isLoopbackAddress(address)) break;
  }
  return client;
}

/** An IP address, an IPv4 one without the IPv6 form that sockets give it; null for other text. */
function plain(text: string): string | null {
  const address = text.replace(/^::ffff:(?=\d+\.)/i, '');
  return isIP(address) === 0 ? null : address;
}
