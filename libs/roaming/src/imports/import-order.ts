import type { Actor, ImportRequest } from '#libs/protocol';
import type { NewSession } from '../opening/derived-ids.js';

/** Who imports, as which session. */
export interface ImportOrder {
  readonly request: ImportRequest;
  readonly target: NewSession;
  readonly principal: string;
  readonly by: Actor;
}
