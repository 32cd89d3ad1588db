import { HEADERS } from './http/headers.js';

/**
 * The one error table: what a code means over HTTP, whether sending the same again can help, and
 * what the caller should do. OpenAI's client libraries pick their exception from the status and
 * `type`.
 */
export const ERRORS = {
  SBP_SESSION_NOT_FOUND: {
    status: 404,
    type: 'invalid_request_error',
    retry: false,
    advice: 'Check the session id.',
  },
  SBP_TOKEN_EXPIRED: {
    status: 410,
    type: 'invalid_request_error',
    retry: false,
    advice: 'Export the session again.',
  },
  SBP_TOKEN_CONSUMED: {
    status: 410,
    type: 'invalid_request_error',
    retry: false,
    advice: 'Export the session again.',
  },
  SBP_TOKEN_INVALID: {
    status: 422,
    type: 'invalid_request_error',
    retry: false,
    advice: 'Check the roaming token.',
  },
  SBP_TOKEN_INTEGRITY: {
    status: 422,
    type: 'invalid_request_error',
    retry: false,
    advice: 'Export the session again.',
  },
  SBP_INVALID_UUID: {
    status: 422,
    type: 'invalid_request_error',
    retry: false,
    advice: 'Send a UUID.',
  },
  SBP_INVALID_REQUEST: {
    status: 422,
    type: 'invalid_request_error',
    retry: false,
    advice: 'Correct the named field.',
  },
  SBP_SESSION_CONFLICT: {
    status: 409,
    type: 'invalid_request_error',
    retry: false,
    advice: 'Read the session first.',
  },
  SBP_TURN_CANCELLED: {
    status: 409,
    type: 'invalid_request_error',
    retry: false,
    advice: 'Send the turn again.',
  },
  SBP_TURN_PENDING: {
    status: 409,
    type: 'invalid_request_error',
    retry: false,
    advice: 'Read the turn, or attach a surface, for its answer.',
  },
  SBP_UNAUTHORIZED: {
    status: 401,
    type: 'authentication_error',
    retry: false,
    advice: 'Send a valid credential.',
  },
  SBP_FORBIDDEN: {
    status: 403,
    type: 'permission_error',
    retry: false,
    advice: 'Use a credential of this session.',
  },
  SBP_PAYLOAD_TOO_LARGE: {
    status: 413,
    type: 'invalid_request_error',
    retry: false,
    advice: 'Send less.',
  },
  SBP_RATE_LIMITED: {
    status: 429,
    type: 'rate_limit_error',
    retry: true,
    advice: 'Wait as Retry-After says.',
  },
  SBP_UPSTREAM_UNAVAILABLE: {
    status: 503,
    type: 'api_error',
    retry: true,
    advice: 'Try again later.',
  },
  SBP_INTERNAL: {
    status: 500,
    type: 'api_error',
    retry: true,
    advice: 'Try again; report it if it stays.',
  },
} as const satisfies Record<string, ErrorRow>;

interface ErrorRow {
  readonly status: number;
  readonly type: string;
  readonly retry: boolean;
  readonly advice: string;
}

export type ErrorCode = keyof typeof ERRORS;

export interface SbpErrorOptions {
  /** What else the caller should know; shown to it. */
  readonly detail?: unknown;
  /** The request field that is wrong. */
  readonly param?: string;
  /** Seconds after which trying again makes sense; becomes `Retry-After`. */
  readonly retryAfter?: number;
  /** What was asked for has begun: a client must not send it again by itself, whatever the code. */
  readonly begun?: boolean;
  /** This process ends and has not begun it: a proxy may send it to another one at once. */
  readonly draining?: boolean;
  /** Instead of the status that the code has on the path. */
  readonly status?: number;
  readonly cause?: unknown;
}

/** A refusal that a caller is told about: one row of the error table, with what is wrong here. */
export class SbpError extends Error {
  readonly code: ErrorCode;
  readonly detail: unknown;
  readonly param: string | null;
  readonly retryAfter: number | null;
  private readonly begun: boolean;
  private readonly draining: boolean;
  private readonly ownStatus: number | null;

  constructor(code: ErrorCode, message: string, options: SbpErrorOptions = {}) {
    super(message, { cause: options.cause });
    this.name = 'SbpError';
    this.code = code;
    this.detail = options.detail ?? null;
    this.param = options.param ?? null;
    this.begun = options.begun ?? false;
    this.draining = options.draining ?? false;
    this.ownStatus = options.status ?? null;
    this.retryAfter = options.retryAfter ?? null;
  }

  /** The HTTP status; a bad request on the OpenAI path is 400, as its clients expect. */
  status(path: 'completions' | 'control'): number {
    if (this.ownStatus !== null) return this.ownStatus;
    return path === 'completions' && this.code === 'SBP_INVALID_REQUEST'
      ? 400
      : ERRORS[this.code].status;
  }

  /**
   * The body of the answer; on the completions path with OpenAI's `type` and `param`. From 500 on
   * it names the request, by which the operator finds the reason in the log.
   */
  body(path: 'completions' | 'control', requestId?: string): ErrorBody {
    const error = {
      code: this.code,
      message: this.message,
      detail: this.detail,
      ...(requestId === undefined || ERRORS[this.code].status < 500
        ? {}
        : { request_id: requestId }),
    };
    return {
      error:
        path === 'control' ? error : { ...error, type: ERRORS[this.code].type, param: this.param },
    };
  }

  /** The response headers that tell a client whether and when to try again. */
  headers(): Record<string, string> {
    return {
      ...(this.retryAfter === null ? {} : { 'retry-after': String(this.retryAfter) }),
      ...(ERRORS[this.code].retry && !this.begun ? {} : { 'x-should-retry': 'false' }),
      // RFC 9110 wants to be told by which scheme.
      ...(this.code === 'SBP_UNAUTHORIZED' ? { 'www-authenticate': 'Bearer' } : {}),
      ...(this.draining ? { [HEADERS.draining]: '1' } : {}),
    };
  }
}

export interface ErrorBody {
  readonly error: {
    readonly code: ErrorCode;
    readonly message: string;
    readonly detail: unknown;
    readonly request_id?: string;
    readonly type?: string;
    readonly param?: string | null;
  };
}
