import { describe, expect, it } from 'vitest';
import { CLOSE } from './frames/close-codes.js';
import type { ErrorCode } from './errors.js';
import { ERRORS, SbpError } from './errors.js';

/**
 * Section 9 of the contract: code, HTTP status, and what OpenAI's clients are told on their path.
 */
const TABLE: readonly (readonly [ErrorCode, number, string, boolean])[] = [
  ['SBP_SESSION_NOT_FOUND', 404, 'invalid_request_error', false],
  ['SBP_TOKEN_EXPIRED', 410, 'invalid_request_error', false],
  ['SBP_TOKEN_CONSUMED', 410, 'invalid_request_error', false],
  ['SBP_TOKEN_INVALID', 422, 'invalid_request_error', false],
  ['SBP_TOKEN_INTEGRITY', 422, 'invalid_request_error', false],
  ['SBP_INVALID_UUID', 422, 'invalid_request_error', false],
  ['SBP_INVALID_REQUEST', 422, 'invalid_request_error', false],
  ['SBP_SESSION_CONFLICT', 409, 'invalid_request_error', false],
  ['SBP_TURN_CANCELLED', 409, 'invalid_request_error', false],
  ['SBP_TURN_PENDING', 409, 'invalid_request_error', false],
  ['SBP_UNAUTHORIZED', 401, 'authentication_error', false],
  ['SBP_FORBIDDEN', 403, 'permission_error', false],
  ['SBP_PAYLOAD_TOO_LARGE', 413, 'invalid_request_error', false],
  ['SBP_RATE_LIMITED', 429, 'rate_limit_error', true],
  ['SBP_UPSTREAM_UNAVAILABLE', 503, 'api_error', true],
  ['SBP_INTERNAL', 500, 'api_error', true],
];

describe('error table', () => {
  it('holds exactly the codes of the contract', () => {
    expect(Object.keys(ERRORS).sort()).toEqual(TABLE.map(([code]) => code).sort());
  });

  // [SBP-ERR-01] [SBP-ERR-02]
  it.each(TABLE)(
    'gives %s status %i, and says to OpenAI clients: %s, retry %s',
    (code, status, type, retry) => {
      const error = new SbpError(code, 'What is wrong.');
      expect(error.status('control')).toBe(status);
      expect(error.status('completions')).toBe(code === 'SBP_INVALID_REQUEST' ? 400 : status);
      expect(error.body('control')).toEqual({
        error: { code, message: 'What is wrong.', detail: null },
      });
      expect(error.body('completions')).toEqual({
        error: { code, message: 'What is wrong.', detail: null, type, param: null },
      });
      expect(error.headers()).toEqual({
        ...(retry ? {} : { 'x-should-retry': 'false' }),
        ...(status === 401 ? { 'www-authenticate': 'Bearer' } : {}),
      });
      expect(ERRORS[code].advice).toMatch(/\.$/);
    },
  );

  it('tells the wrong field, the detail, and when to come again', () => {
    const cause = new Error('no more');
    const error = new SbpError('SBP_RATE_LIMITED', 'Later.', {
      detail: { left: 0 },
      param: 'model',
      retryAfter: 7,
      cause,
    });
    expect(error.headers()).toEqual({ 'retry-after': '7' });
    expect(error.body('completions').error).toMatchObject({ detail: { left: 0 }, param: 'model' });
    expect(error.body('control').error).not.toHaveProperty('param');
    expect(error.cause).toBe(cause);
  });
});

describe('close codes', () => {
  it('are those of the contract', () => {
    expect(Object.values(CLOSE).map(({ code }) => code)).toEqual([
      1000, 1003, 1009, 1012, 1013, 4003, 4004, 4008, 4009,
    ]);
    expect(CLOSE.REPLACED.reason).toBe('REPLACED');
  });
});
