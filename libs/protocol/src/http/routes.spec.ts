import { describe, expect, it } from 'vitest';
import { ROUTES, routeOf } from './routes.js';

describe('the route of a request', () => {
  it.each(ROUTES)('$method $path is its own', (route) => {
    expect(routeOf(route.method, route.path.replaceAll(/\{\w+\}/g, 'x'))).toMatchObject(route);
  });

  it.each([
    ['HEAD', '/health', '/health'],
    ['OPTIONS', '/v1/chat/completions', '/v1/chat/completions'],
    ['GET', '/v1/sbp/sessions/s/export', '/v1/sbp/sessions/{session_id}/export'],
    ['DELETE', '/v1/sbp/sessions/s', '/v1/sbp/sessions/{session_id}'],
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
