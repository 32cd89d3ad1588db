import { createHash, randomUUID } from 'node:crypto';
import type { IncomingHttpHeaders } from 'node:http';
import { Injectable } from '@nestjs/common';
import { SessionAccess, httpActor } from '#libs/access';
import type { JsonObject } from '#libs/protocol';
import {
  CompletionRequest,
  DEFAULT_AGENT_ID,
  HEADERS,
  JsonObject as JsonObjectSchema,
  LIMITS,
  Line,
  NO_TOOL_POLICY,
  SbpError,
  SbpRequest,
  ToolPolicy,
  parseJsonBody,
  parseValue,
} from '#libs/protocol';
import type { Probe } from '../claim/probes.js';
import { CompletionsOptions } from '../completions-options.js';
import type { Repeat, TrackedRequest } from './tracked-request.js';

export type ReadRequest =
  /** No session: the body goes to the model as it came, without an empty `sbp`. */
  | { readonly type: 'pass-through'; readonly body: Buffer }
  | { readonly type: 'tracked'; readonly request: TrackedRequest }
  /** Tracked, with nothing to say. */
  | { readonly type: 'probe'; readonly probe: Probe };

/** Reads what arrives at `/v1/chat/completions`. */
@Injectable()
export class RequestReader {
  constructor(
    private readonly access: SessionAccess,
    private readonly options: CompletionsOptions,
  ) {}

  /** @throws SbpError SBP_INVALID_REQUEST, SBP_INVALID_UUID, SBP_UNAUTHORIZED */
  async read(headers: IncomingHttpHeaders, body: Buffer | undefined): Promise<ReadRequest> {
    if (body === undefined || body.length === 0)
      throw new SbpError('SBP_INVALID_REQUEST', 'body: is missing', { param: 'body' });
    const json = parseJsonBody(body, JsonObjectSchema);
    const hasToken = single(headers[HEADERS.sessionToken]) !== null;
    const sbp = json['sbp'] ?? null;
    if (sbp === null && !hasToken && this.options.track !== 'always') {
      await this.access.mustBeUser(headers);
      return {
        type: 'pass-through',
        body: 'sbp' in json ? withoutSbp(json) : body,
      };
    }
    const credential = await this.access.authenticate(headers);
    const parsed = sbp === null ? null : parseValue(sbp, SbpRequest, 'sbp');
    if (isEmptyList(json['messages'])) {
      parseValue(json, CompletionRequest.omit({ messages: true }));
      return { type: 'probe', probe: { credential, sbp: parsed, agentId: agentOf(headers) } };
    }
    const completion = parseValue(json, CompletionRequest);
    return {
      type: 'tracked',
      request: {
        credential,
        by: httpActor(credential.principal),
        agentId: agentOf(headers),
        sbp: parsed,
        turnId: randomUUID(),
        repeat: repeatOf(headers),
        streams: completion.stream === true,
        asked: {
          model: completion.model,
          messages: completion.messages,
          options: optionsOf(json),
          toolPolicy: parsed === null ? NO_TOOL_POLICY : ToolPolicy.parse(parsed),
          history: parsed?.history ?? 'auto',
          checkpointEvery: parsed?.checkpoint_every ?? 1,
          bytes: body.length,
          bodyHash: createHash('sha256').update(body).digest('hex'),
          idempotencyKey: single(headers[HEADERS.idempotencyKey]),
        },
        showUsage: completion.stream_options?.include_usage === true,
      },
    };
  }
}

/** The count that OpenAI's client libraries send of their own repeats. */
const RETRY_COUNT = /^\d{1,4}$/;

/** @throws SbpError SBP_INVALID_REQUEST */
function repeatOf(headers: IncomingHttpHeaders): Repeat {
  const key = single(headers[HEADERS.idempotencyKey]);
  if (key !== null) {
    if (key.length <= LIMITS.idempotencyKey) return { type: 'key', key };
    throw new SbpError(
      'SBP_INVALID_REQUEST',
      `Idempotency-Key: has more than ${LIMITS.idempotencyKey} characters.`,
      { param: 'Idempotency-Key' },
    );
  }
  const count = single(headers[HEADERS.retryCount]);
  return count === null || !RETRY_COUNT.test(count)
    ? { type: 'unknown' }
    : { type: 'count', count: Number(count) };
}

function isEmptyList(value: unknown): boolean {
  return Array.isArray(value) && value.length === 0;
}

function agentOf(headers: IncomingHttpHeaders): string {
  const agentId = single(headers[HEADERS.agentId]) ?? DEFAULT_AGENT_ID;
  if (agentId.length <= LIMITS.agentId) return parseValue(agentId, Line, 'X-Agent-ID');
  throw new SbpError(
    'SBP_INVALID_REQUEST',
    `X-Agent-ID: has more than ${LIMITS.agentId} characters.`,
    {
      param: 'X-Agent-ID',
    },
  );
}

function single(header: string | readonly string[] | undefined): string | null {
  const value = typeof header === 'string' ? header : header?.[0];
  return value === undefined || value === '' ? null : value;
}

function withoutSbp({ sbp: _sbp, ...rest }: JsonObject): Buffer {
  return Buffer.from(JSON.stringify(rest));
}

function optionsOf({
  model: _model,
  messages: _messages,
  sbp: _sbp,
  ...options
}: JsonObject): JsonObject {
  return options;
}
