import { CLOSE } from '#libs/protocol';
import type { BackOff } from '#libs/timing';

/** What a surface does after its connection was closed. */
export type CloseVerdict =
  | { readonly type: 'return'; readonly backOff: BackOff }
  | { readonly type: 'end'; readonly exitCode: number; readonly why: string };

const SOON: BackOff = { firstMs: 250, longestMs: 30_000 };
/** After a server that has too much to do. */
const LATER: BackOff = { firstMs: 2_000, longestMs: 60_000 };

/** Any close but those that say that the same again cannot help is a reason to return. */
export function closeVerdict(code: number): CloseVerdict {
  switch (code) {
    case CLOSE.NORMAL.code:
      return { type: 'end', exitCode: 0, why: 'The session is finished.' };
    case CLOSE.REPLACED.code:
      return { type: 'end', exitCode: 0, why: 'Another surface took the session over.' };
    case CLOSE.FORBIDDEN.code:
      return { type: 'end', exitCode: 1, why: 'The token is not one of this session.' };
    case CLOSE.SESSION_NOT_FOUND.code:
      return { type: 'end', exitCode: 1, why: 'The server has no such session.' };
    case CLOSE.OVERLOADED.code:
      return { type: 'return', backOff: LATER };
    default:
      return { type: 'return', backOff: SOON };
  }
}
