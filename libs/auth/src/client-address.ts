import type { IncomingMessage } from 'node:http';
import { BlockList, isIP } from 'node:net';
import { isLoopbackAddress } from './trust.js';

/** The proxies that say whose requests they bring; those on this machine are always among them. */
export class TrustedProxies {
  private readonly networks = new BlockList();

  /** `networks`: IP addresses, or networks such as `10.0.0.0/8`. */
  constructor(networks: readonly string[]) {
    for (const network of networks) {
      const [address = '', bits] = network.split('/');
      const family = isIP(address) === 6 ? 'ipv6' : 'ipv4';
      if (bits === undefined) this.networks.addAddress(address, family);
      else this.networks.addSubnet(address, Number(bits), family);
    }
  }

  /**
   * The IP address that a request came from. `X-Forwarded-For` is believed only where a trusted
   * proxy brought the request, because anybody else could write anything: then it is the last
   * address in it that is no trusted proxy's.
   */
  clientAddress({ socket, headers }: Pick<IncomingMessage, 'socket' | 'headers'>): string | null {
    const peer = plain(socket.remoteAddress ?? '');
    if (peer === null || !this.includes(peer)) return peer;
    const forwarded = String(headers['x-forwarded-for'] ?? '').split(',');
    let client = peer;
    for (const text of forwarded.reverse()) {
      const address = plain(text.trim());
      if (address === null) break;
      client = address;
      if (!this.includes(address)) break;
    }
    return client;
  }

  private includes(address: string): boolean {
    const family = isIP(address) === 6 ? 'ipv6' : 'ipv4';
    return isLoopbackAddress(address) || this.networks.check(address, family);
  }
}

/** Whether a text is an IP address, or a network as `address/bits`. */
export function isNetwork(text: string): boolean {
  const [, address = '', bits] = /^([^/]+)(?:\/(\d{1,3}))?$/.exec(text) ?? [];
  const most = { 4: 32, 6: 128 }[isIP(address)];
  return most !== undefined && (bits === undefined || Number(bits) <= most);
}

/** An IP address, an IPv4 one without the IPv6 form that sockets give it; null for other text. */
function plain(text: string): string | null {
  const address = text.replace(/^::ffff:(?=\d+\.)/i, '');
  return isIP(address) === 0 ? null : address;
}
