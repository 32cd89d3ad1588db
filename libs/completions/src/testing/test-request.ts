import { randomUUID } from 'node:crypto';
import type { Message } from '#libs/protocol';
import { SbpRequest, ToolPolicy } from '#libs/protocol';
import type { Credential } from '#libs/access';
import type { Repeat, TrackedRequest } from '../http/tracked-request.js';

export interface RequestDetails {
  /** Null for a request that is tracked without an `sbp` object. */
  readonly sbp?: object | null;
  readonly credential?: Partial<Credential>;
  readonly agentId?: string;
  readonly text?: string;
  /** Instead of one user message with `text`. */
  readonly messages?: readonly Message[];
  readonly stream?: boolean;
  readonly repeat?: Repeat;
  readonly bodyHash?: string;
  /** Size of the body. */
  readonly bytes?: number;
}

/** A request as the reader of requests gives it. */
export function trackedRequest(details: RequestDetails = {}): TrackedRequest {
  const { sbp = {}, credential, agentId = 'agent', text = 'Hello.', stream = false } = details;
  const { bytes = 100, repeat = { type: 'unknown' }, bodyHash = '0'.repeat(64) } = details;
  const { messages = [{ role: 'user', content: text }] } = details;
  const parsed = sbp === null ? null : SbpRequest.parse(sbp);
  return {
    credential: {
      principal: 'anonymous',
      tokenSession: null,
      tokenGeneration: 0,
      isTokenAlone: false,
      ...credential,
    },
    by: { principal: 'anonymous', via: 'http' },
    agentId,
    sbp: parsed,
    turnId: randomUUID(),
    repeat,
    streams: stream,
    asked: {
      model: 'm',
      messages,
      options: { stream },
      toolPolicy: ToolPolicy.parse(parsed ?? {}),
      history: parsed?.history ?? 'auto',
      checkpointEvery: 1,
      bytes,
      bodyHash,
      idempotencyKey: repeat.type === 'key' ? repeat.key : null,
    },
    showUsage: false,
  };
}
