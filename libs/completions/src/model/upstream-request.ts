import type { JsonObject, Message } from '#libs/protocol';

/**
 * The body that goes to the model: the client's options untouched, the server's transcript. A
 * stream's usage is always asked for; who did not ask does not see it.
 */
export function upstreamRequest(
  model: string,
  messages: readonly Message[],
  options: JsonObject,
): Uint8Array {
  const usage =
    options['stream'] === true
      ? {
          stream_options: {
            ...(options['stream_options'] as JsonObject | null | undefined),
            include_usage: true,
          },
        }
      : {};
  return Buffer.from(JSON.stringify({ ...options, ...usage, model, messages }));
}
