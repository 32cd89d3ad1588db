import { describe, expect, it } from 'vitest';
import { ROUTES, isModelPath, routeOf } from './routes.js';

describe("a path of the model's API", () => {
  it.each([
    '/v1/models',
    '/v1/models/ft:gpt-4o%2Fa',
    '/v1/audio/transcriptions',
    '/v1/chat/completions/chatcmpl-1',
    '/v1/sbpx',
    '/v1/files/a..b',
    '/v1/files/100%25',
    '/v1/files/.a',
  ])('is %s', (path) => {
    expect(isModelPath(path)).toBe(true);
  });

  // [SBP-L1-50]
  it.each([
    '/v1',
    '/v1/',
    '/v1//models',
    '/v2/models',
    '/models',
    '/v1/sbp',
    '/v1/sbp/',
    '/v1/sbp/anything',
    '/v1/%73bp/sessions',
    '/v1/chat/completions',
    '/v1/../admin',
    '/v1/models/..',
    '/v1/./sbp/sessions',
    '/v1/%2e%2e/admin',
    '/v1/a%2f..%2F..%2fadmin',
    '/v1/%252e%252e/admin',
    '/v1/..\\admin',
    '/v1/%zz',
  ])('is not %s', (path) => {
    expect(isModelPath(path)).toBe(false);
  });
});

describe('the route of a request', () => {
  it.each(ROUTES)('$method $path is its own', (route) => {
    expect(routeOf(route.method, route.path.replaceAll(/\{\*?\w+\}/g, 'x'))).toMatchObject(route);
  });

  it.each([
    ['HEAD', '/health', '/health'],
    ['OPTIONS', '/v1/chat/completions', '/v1/chat/completions'],
    ['GET', '/v1/sbp/sessions/s/export', '/v1/sbp/sessions/{session_id}/export'],
    ['DELETE', '/v1/sbp/sessions/s', '/v1/sbp/sessions/{session_id}'],
    ['GET', '/v1/models', '/v1/{*path}'],
    ['OPTIONS', '/v1/embeddings', '/v1/{*path}'],
    ['GET', '/v1/chat/completions', '/v1/chat/completions'],
  ])('%s %s takes the one of its path', (method, path, expected) => {
    expect(routeOf(method, path)?.path).toBe(expected);
  });

  it.each(['/', '/nothing', '/v1/sbp/ws', '/v1/sbp/ws/', '/v1/sbp/ws/a/b', '/health/', ''])(
    'is none for %j',
    (path) => {
      expect(routeOf('GET', path)).toBeNull();
    },
  );
});
