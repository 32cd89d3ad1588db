import type { Actor } from '#libs/protocol';
import { currentRequest } from '#libs/telemetry';

/**
 * Who causes events by the HTTP request in hand, as the log keeps it.
 *
 * @param principal who sent it, and not whose session it is
 */
export function httpActor(principal: string): Actor {
  return requestActor(principal, 'http');
}

/** Another server that causes events by the HTTP request in hand. */
export function serverActor(): Actor {
  return requestActor(null, 'server');
}

function requestActor(principal: string | null, via: Actor['via']): Actor {
  const request = currentRequest();
  return {
    principal,
    via,
    ...(request?.address == null ? {} : { address: request.address }),
    ...(request === null ? {} : { request_id: request.requestId }),
  };
}
