import type { IncomingHttpHeaders } from 'node:http';
import { checkHost, checkOrigin } from '#libs/auth';
import { SbpError } from '#libs/protocol';

/**
 * Why a request or upgrade is refused because of where it came from; null where it is welcome. With
 * open access a web page must not reach the server, neither from another origin nor by DNS
 * rebinding.
 */
export function foreignRequest(
  { host, origin }: Pick<IncomingHttpHeaders, 'host' | 'origin'>,
  allowedOrigins: readonly string[],
): SbpError | null {
  if (!checkHost(host)) {
    return new SbpError(
      'SBP_FORBIDDEN',
      `Host: ${shown(host)} is not a loopback name. Address the server as localhost or 127.0.0.1.`,
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
