import type { UpstreamAnswer } from '#libs/domain';
import type { ModelResponse } from '#libs/llm';

/** An error that is longer is told again by its status alone. */
const LONGEST_REPEATED = 16 * 1024;

/** A provider's error, as a repeat of its request is told it; null for none. */
export function answerToRepeat(head: ModelResponse, body: Buffer): UpstreamAnswer | null {
  if (body.length > LONGEST_REPEATED) return null;
  const type = head.headers['content-type'] ?? 'application/json';
  return { status: head.status, type, body: body.toString('utf8') };
}
