/** Where surfaces connect. */
export const SURFACE_PATH = '/v1/sbp/ws/:session_id';

const pattern = new URLPattern({ pathname: SURFACE_PATH });

/**
 * The session id in the path of a surface's request, as the client wrote it; null for any other
 * path.
 */
export function sessionIdOf(requestUrl: string | undefined): string | null {
  const url = URL.parse(requestUrl ?? '', 'ws://localhost');
  const id =
    url === null
      ? undefined
      : pattern.exec({ pathname: url.pathname })?.pathname.groups['session_id'];
  return id === undefined ? null : decoded(id);
}

function decoded(segment: string): string {
  try {
    return decodeURIComponent(segment);
  } catch {
    return segment;
  }
}
