import type { IncomingHttpHeaders } from 'node:http';
import { checkHost, checkOrigin } from '#libs/auth';
import { SbpError } from '#libs/protocol';
import type { Settings } from '../settings/settings.js';

/** From where requests may come, and how many. */
export type EdgeSettings = Pick<
  Settings,
  'auth' | 'allowedHosts' | 'allowedOrigins' | 'trustedProxies' | 'limits'
>;

/**
 * Why a request or upgrade is refused because of where it came from; null where it is welcome. With
 * open access a web page must not reach the server, neither from another origin nor by DNS
 * rebinding; where credentials are required a page has none, and the names are the operator's.
 */
export function foreignRequest(
  { host, origin }: Pick<IncomingHttpHeaders, 'host' | 'origin'>,
  { auth, allowedHosts, allowedOrigins }: EdgeSettings,
): SbpError | null {
  if (auth.type === 'required') return null;
  if (!checkHost(host, allowedHosts)) {
    return new SbpError(
      'SBP_FORBIDDEN',
      `Host: ${shown(host)} is not a loopback name. Address the server as localhost or 127.0.0.1, or add the name to SBP_ALLOWED_HOSTS.`,
      { param: 'Host' },
    );
  }
  if (!checkOrigin(origin, allowedOrigins)) {
    return new SbpError(
      'SBP_FORBIDDEN',
      `Origin: ${shown(origin)} is foreign. Add it to SBP_ALLOWED_ORIGINS if its pages may use this server.`,
      { param: 'Origin' },
    );
  }
  return null;
}

function shown(header: string | undefined): string {
  return header === undefined || header === '' ? '(none)' : header.slice(0, 200);
}
