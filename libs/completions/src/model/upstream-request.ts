import type { JsonObject } from '#libs/protocol';
import { withCommas } from '#libs/store';
import type { Prompt } from '../turn/turn-attempt.js';

/** From so many bytes of a transcript on the body goes out in pieces. */
const LONG = 256 * 1024;

/**
 * The body that goes to the model: the client's options untouched, the server's transcript. A
 * stream's usage is always asked for; who did not ask does not see it. Stored messages are sent as
 * the JSON that is stored, because making it anew would cost more with each turn [A11]. `from`: the
 * first stored turn that is sent.
 */
export function upstreamRequest(
  model: string,
  prompt: Prompt,
  options: JsonObject,
  from = 0,
): Uint8Array | readonly Uint8Array[] {
  const usage =
    options['stream'] === true
      ? {
          stream_options: {
            ...(options['stream_options'] as JsonObject | null | undefined),
            include_usage: true,
          },
        }
      : {};
  const head = JSON.stringify({ ...options, ...usage, model });
  const { system, transcript, keeps, messages } = prompt;
  const pieces = [
    Buffer.from(`${head.slice(0, -1)},"messages":[`),
    ...withCommas([...system.map(json), ...transcript.sent(keeps, messages, from)]),
    Buffer.from(']}'),
  ];
  // A long one is not copied: the stored piece of it goes out as it is kept.
  return transcript.bytes > LONG ? pieces : Buffer.concat(pieces);
}

function json(value: unknown): Buffer {
  return Buffer.from(JSON.stringify(value));
}
