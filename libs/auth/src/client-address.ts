import type { IncomingMessage } from 'node:http';
import { isIP } from 'node:net';
import { isLoopbackAddress } from './trust.js';

/**
 * The IP address that a request came from. `X-Forwarded-For` is believed only where a proxy on this
 * machine brought the request, because anybody else could write anything: then it is the last
 * address in it that is not of this machine.
 */
export function clientAddress({
  socket,
  headers,
}: Pick<IncomingMessage, 'socket' | 'headers'>): string | null {
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
