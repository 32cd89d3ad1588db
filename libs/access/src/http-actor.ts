import type { Actor } from '#libs/protocol';
import { currentRequest } from '#libs/telemetry';

/** Who causes events by the HTTP request in hand, as the log keeps it. */
export function httpActor(principal: string): Actor {
  const request = currentRequest();
  return {
    principal,
    via: 'http',
    ...(request?.address == null ? {} : { address: request.address }),
    ...(request === null ? {} : { request_id: request.requestId }),
  };
}
