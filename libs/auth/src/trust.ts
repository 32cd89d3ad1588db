import { BlockList, isIP } from 'node:net';

const LOOPBACK = new BlockList();
LOOPBACK.addSubnet('127.0.0.0', 8, 'ipv4');
LOOPBACK.addAddress('::1', 'ipv6');

/** Whether an IP address, without brackets or port, is reachable from this machine only. */
export function isLoopbackAddress(address: string): boolean {
  const version = isIP(address);
  return version !== 0 && LOOPBACK.check(address, version === 4 ? 'ipv4' : 'ipv6');
}

const AUTHORITY = /^(?:\[(?<ipv6>[0-9a-f:.]+)\]|(?<name>[a-z0-9._-]+))(?::\d{1,5})?$/i;

/**
 * Whether a `Host` header names this machine, with any port: by a loopback name, or by one of
 * `allowed` (in lower case). A page that reaches a local server by DNS rebinding carries its own
 * name there.
 */
export function checkHost(host: string | undefined, allowed: readonly string[] = []): boolean {
  const { ipv6, name } = AUTHORITY.exec(host ?? '')?.groups ?? {};
  if (allowed.includes((ipv6 ?? name ?? '').toLowerCase())) return true;
  if (ipv6 !== undefined) return isIP(ipv6) === 6 && isLoopbackAddress(ipv6);
  return name !== undefined && isLoopbackName(name);
}

function isLoopbackName(name: string): boolean {
  const lower = name.toLowerCase();
  return lower === 'localhost' || lower.endsWith('.localhost') || isLoopbackAddress(lower);
}

/**
 * Whether a web page of this origin may talk to the server: a loopback one, or one of `allowed` (as
 * `https://app.example`). No `Origin` means no web page. `null` (a sandbox, a file) is foreign.
 */
export function checkOrigin(origin: string | undefined, allowed: readonly string[]): boolean {
  if (origin === undefined) return true;
  const lower = origin.toLowerCase();
  if (allowed.includes(lower)) return true;
  const authority = /^https?:\/\/(?<authority>.+)$/.exec(lower)?.groups?.['authority'];
  return authority !== undefined && checkHost(authority);
}
