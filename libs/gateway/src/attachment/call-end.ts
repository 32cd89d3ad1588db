import type { CallEnd } from '#libs/domain';
import { TOO_LARGE } from '#libs/domain';
import type { ToolResult } from '#libs/protocol';
import { isDeeperThan } from '#libs/protocol';

/** How deep the lists and objects of a result may be nested. */
const DEEPEST = 100;

/** Characters of a tool's error that a model is told. */
const LONGEST_ERROR = 16_000;

/** What a surface's frame says that came of a call. */
export function callEnd({ result, error }: ToolResult): CallEnd {
  if (error !== undefined && error !== null && error !== '') {
    return { type: 'error', message: error.slice(0, LONGEST_ERROR) };
  }
  return isDeeperThan(result, DEEPEST)
    ? { type: 'error', message: `The result is nested in more than ${DEEPEST} levels.` }
    : { type: 'result', result: result ?? null };
}

/** Of a result that the log does not take. */
export const REFUSED_RESULT: CallEnd = { type: 'error', message: TOO_LARGE };
