import { expect, it } from 'vitest';
import { createLogger } from './logger.js';
import { currentRequest, requestIdOf, withRequest } from './request.js';

it('a request is found by all that is done for it, and by nothing else', async () => {
  const lines: string[] = [];
  const logger = createLogger('test', 'info', { write: (line) => void lines.push(line) });
  const request = { requestId: 'r-1', address: '127.0.0.1' };
  const found = await withRequest(request, async () => {
    await Promise.resolve();
    logger.info('inside');
    logger.child({ turn: 1 }).info('inside, too');
    return currentRequest();
  });
  expect(found).toEqual(request);
  expect(currentRequest()).toBeNull();
  logger.info('outside');
  const ids = lines.map((line) => (JSON.parse(line) as Record<string, unknown>)['request_id']);
  expect(ids).toEqual(['r-1', 'r-1', undefined]);
});

it('an id is the client’s own where it is fit for headers and logs, else a new one', () => {
  for (const fit of ['a', 'A-1_b.c', 'x'.repeat(128)]) expect(requestIdOf(fit)).toBe(fit);
  const unfit = [undefined, '', 'x'.repeat(129), 'a b', 'a\nb', 'ä', ['a', 'b']];
  const made = unfit.map((header) => requestIdOf(header));
  for (const id of made) expect(id).toMatch(/^[0-9a-f-]{36}$/);
  expect(new Set(made).size).toBe(made.length);
});
