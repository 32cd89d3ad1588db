import { describe, expect, it } from 'vitest';
import { createLogger } from './logger.js';
import type { LogLevel } from './logger.js';
import { NestLogger } from './nest-logger.js';

const JWT = 'eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzaWQiOiJ4In0.c2lnbmF0dXJl';

function capture(level: LogLevel = 'trace') {
  const lines: string[] = [];
  const logger = createLogger('test', level, { write: (line) => void lines.push(line) });
  return {
    logger,
    lines,
    last: () => JSON.parse(lines.at(-1) ?? 'null') as Record<string, unknown>,
  };
}

describe('logger', () => {
  it('writes one JSON object a line with name, level, time and message', () => {
    const { logger, lines, last } = capture();
    logger.info({ turn: 1 }, 'two\nlines');
    expect(lines).toHaveLength(1);
    expect(lines[0]?.indexOf('\n')).toBe((lines[0]?.length ?? 0) - 1);
    expect(last()).toMatchObject({ name: 'test', level: 'info', turn: 1, msg: 'two\nlines' });
    expect(new Date(String(last()['time'])).getTime()).not.toBeNaN();
  });

  it('says nothing below its level', () => {
    const { logger, lines } = capture('warn');
    logger.info('hidden');
    expect(lines).toEqual([]);
  });

  // [SBP-SEC-06]
  it.each([
    'authorization',
    'x-session-token',
    'session_token',
    'roaming_token',
    'SBP_JWT_SECRET',
    'SBP_LLM_API_KEY',
    'jwtSecret',
    'apiKey',
  ])('hides the value of the field %s at any usual depth', (field) => {
    const { logger, lines } = capture();
    const secret = { [field]: 'hunter2-hunter2' };
    logger.info({ ...secret, headers: secret, req: { headers: secret, more: { deep: secret } } });
    expect(lines.join('')).not.toContain('hunter2');
  });

  // [SBP-SEC-06]
  it.each([
    ['a roaming token in a path', { url: `/v1/sbp/token/${JWT}?x=1` }, JWT],
    ['a damaged roaming token in a path', { url: '/v1/sbp/token/abc.def' }, 'abc.def'],
    ['a token in an error', { err: new Error(`bad token ${JWT}`) }, JWT],
    ['an API key', { text: `key sbp_0123456789ab_${'x'.repeat(43)}` }, 'xxxx'],
    ['a bearer credential', { text: 'Authorization: Bearer sk-verysecret' }, 'sk-verysecret'],
    ['a password in a URL', { url: 'postgres://sbp:pa55word@127.0.0.1:5432/sbp' }, 'pa55word'],
  ])('hides %s', (_what, fields, secret) => {
    const { logger, lines, last } = capture();
    logger.info(fields, `message ${'url' in fields ? fields.url : ''}`);
    expect(lines.join('')).not.toContain(secret);
    expect(last()['level']).toBe('info');
  });
});

describe('NestLogger', () => {
  it('keeps context, stack and level', () => {
    const { logger, last } = capture();
    const nest = new NestLogger(logger);
    nest.error('failed', 'Error: at x', 'SomeService');
    expect(last()).toMatchObject({
      level: 'error',
      msg: 'failed',
      context: 'SomeService',
      details: ['Error: at x'],
    });
    nest.warn({ some: 'object' }, 'SomeService');
    expect(last()).toMatchObject({ level: 'warn', msg: '{"some":"object"}' });
    nest.error(new Error('boom'), 'SomeService');
    expect(last()).toMatchObject({ msg: 'boom', err: { message: 'boom' } });
  });

  it('keeps the wiring of an application out of the ordinary log', () => {
    const { logger, lines } = capture('info');
    const nest = new NestLogger(logger);
    nest.log('Mapped {/health, GET} route', 'RouterExplorer');
    nest.log('something', 'Sessions');
    expect(lines).toHaveLength(1);
  });
});
