import type { IncomingMessage } from 'node:http';
import { LIMITS, SbpError, isModelPath } from '#libs/protocol';

/** The path of a request's target. */
export function pathOf(url: string): string {
  return url.split('?', 1)[0] ?? '';
}

/**
 * The body of a request, as a controller gets it: bytes, of at most `LIMITS.requestBody`. A request
 * for the model's API is passed on as it comes: there it is the stream itself, and the API behind
 * it decides how long it may be.
 * @throws SbpError SBP_PAYLOAD_TOO_LARGE; the rest of the body is still to be read
 */
export async function requestBody(request: IncomingMessage): Promise<Buffer | IncomingMessage> {
  return isModelPath(pathOf(request.url ?? '')) ? request : bytesOf(request);
}

function bytesOf(request: IncomingMessage): Promise<Buffer> {
  if (Number(request.headers['content-length']) > LIMITS.requestBody)
    return Promise.reject(tooLarge());
  return new Promise((resolve, reject) => {
    const parts: Buffer[] = [];
    let bytes = 0;
    const settle = (then: () => void): void => {
      request.off('data', onData).off('end', onEnd).off('error', onError);
      then();
    };
    const onData = (part: Buffer): void => {
      bytes += part.length;
      if (bytes > LIMITS.requestBody) settle(() => reject(tooLarge()));
      else parts.push(part);
    };
    const onEnd = (): void => settle(() => resolve(Buffer.concat(parts, bytes)));
    const onError = (error: Error): void => settle(() => reject(error));
    request.on('data', onData).on('end', onEnd).on('error', onError).resume();
  });
}

function tooLarge(): SbpError {
  return new SbpError(
    'SBP_PAYLOAD_TOO_LARGE',
    `The body has more than ${LIMITS.requestBody} bytes.`,
  );
}
