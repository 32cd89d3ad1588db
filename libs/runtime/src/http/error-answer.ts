import { HttpException } from '@nestjs/common';
import { outageRefusal } from '#libs/event-log';
import { SbpError, isModelPath } from '#libs/protocol';
import type { ErrorCode } from '#libs/protocol';
import { pathOf } from './request-body.js';

/** What the caller of a request that failed is told. */
export interface ErrorAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: object;
  /** Whether it was a fault of ours that nobody foresaw: for the log, never for the caller. */
  readonly unforeseen: boolean;
}

export interface FailedRequest {
  readonly method: string;
  /** Path and query as they came. */
  readonly url: string;
  readonly requestId: string;
}

/** The contract's error codes for what the HTTP framework itself refuses. */
const CODE_OF_STATUS: Readonly<Record<number, ErrorCode>> = {
  401: 'SBP_UNAUTHORIZED',
  403: 'SBP_FORBIDDEN',
  413: 'SBP_PAYLOAD_TOO_LARGE',
  429: 'SBP_RATE_LIMITED',
};

/**
 * The answer to a request whose handling threw `error`: the contract's form, whatever was thrown.
 */
export function answerTo(error: unknown, request: FailedRequest): ErrorAnswer {
  const path = pathOf(request.url);
  const isOpenAi = path === '/v1/chat/completions' || isModelPath(path);
  const form = isOpenAi ? 'completions' : 'control';
  const refusal = error instanceof SbpError ? error : outageRefusal(error);
  const known =
    refusal === null
      ? frameworkRefusal(error, request, path)
      : { error: refusal, status: refusal.status(form) };
  const told =
    known?.error ??
    new SbpError('SBP_INTERNAL', 'The server failed in a way that it did not foresee.');
  return {
    status: known?.status ?? told.status(form),
    headers: { ...told.headers(), 'content-type': 'application/json; charset=utf-8' },
    body: told.body(form, request.requestId),
    unforeseen: known === null,
  };
}

function frameworkRefusal(
  error: unknown,
  { method }: FailedRequest,
  path: string,
): { error: SbpError; status: number } | null {
  const status = statusOf(error);
  if (status === null || status < 400 || status > 499) return null;
  const message =
    status === 404 ? `No route ${method} ${shown(path)}; see docs.` : (error as Error).message;
  return { error: new SbpError(CODE_OF_STATUS[status] ?? 'SBP_INVALID_REQUEST', message), status };
}

/**
 * Only what the framework throws has a status to trust: clients of other services put theirs on
 * errors too.
 */
function statusOf(error: unknown): number | null {
  if (error instanceof HttpException) return error.getStatus();
  if (!(error instanceof Error) || !('code' in error) || !('statusCode' in error)) return null;
  const { code, statusCode } = error;
  return typeof code === 'string' && code.startsWith('FST_') && typeof statusCode === 'number'
    ? statusCode
    : null;
}

function shown(path: string): string {
  return path.length > 200 ? `${path.slice(0, 200)}…` : path;
}
