import { BlockList, isIP } from 'node:net';

/*
 * Which addresses a name may stand for. A server that is trusted by name is somewhere on the
 * Internet: where its name stands for an address of this machine or of a private network, somebody
 * wants this server to ask something there that is not meant for it.
 */

const NOT_PUBLIC = new BlockList();
for (const [network, prefix] of [
  ['0.0.0.0', 8],
  ['10.0.0.0', 8],
  ['100.64.0.0', 10],
  ['127.0.0.0', 8],
  ['169.254.0.0', 16],
  ['172.16.0.0', 12],
  ['192.0.0.0', 24],
  ['192.168.0.0', 16],
  ['198.18.0.0', 15],
  ['224.0.0.0', 3],
] as const) {
  NOT_PUBLIC.addSubnet(network, prefix, 'ipv4');
}
for (const [network, prefix] of [
  // Those from `::` on to `2002::` hold addresses of version 4.
  ['::', 96],
  ['64:ff9b::', 96],
  ['64:ff9b:1::', 48],
  ['2001::', 32],
  ['2002::', 16],
  ['fc00::', 7],
  ['fe80::', 10],
  ['fec0::', 10],
  ['ff00::', 8],
] as const) {
  NOT_PUBLIC.addSubnet(network, prefix, 'ipv6');
}

/** Whether an IP address is on the public Internet; also one of version 4 in that of version 6. */
export function isPublicAddress(address: string): boolean {
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(address)?.[1];
  const plain = mapped ?? address;
  const version = isIP(plain);
  if (version === 0) return false;
  if (version === 6 && /^::ffff:/i.test(plain)) return false;
  return !NOT_PUBLIC.check(plain, version === 4 ? 'ipv4' : 'ipv6');
}

/**
 * Whether a connection to a host that the operator has listed may go to this address: an address
 * that was listed itself, `localhost` to this machine, a name to what is public.
 */
export function mayConnect(host: string, address: string, allowsPrivate: boolean): boolean {
  const name = host.replace(/^\[|\]$/g, '').toLowerCase();
  if (isIP(name) !== 0) return true;
  if (name === 'localhost') return address === '::1' || address.startsWith('127.');
  return allowsPrivate || isPublicAddress(address);
}
