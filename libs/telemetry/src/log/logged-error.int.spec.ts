import { randomUUID } from 'node:crypto';
import { DataSource } from 'typeorm';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { Faults } from './faults.js';
import { createLogger } from './logger.js';
import { NestLogger } from './nest-logger.js';

const MARKER = `marker-${randomUUID()}`;

/** What a driver throws when it is given text of a conversation. */
async function failureOf(source: DataSource, statement: string): Promise<unknown> {
  return source.query(statement, [MARKER]).then(
    () => expect.unreachable(),
    (error: unknown) => error,
  );
}

describe.each(['postgres', 'better-sqlite3'] as const)('an error of %s', (type) => {
  let source: DataSource;
  const placeholder = type === 'postgres' ? '$1' : '?';

  beforeAll(async () => {
    source = await new DataSource(
      type === 'postgres'
        ? { type, url: inject('SBP_TEST_POSTGRES_URL'), poolSize: 1 }
        : { type, database: ':memory:' },
    ).initialize();
    await source.query('CREATE TEMP TABLE texts (text varchar(100) PRIMARY KEY, n int NOT NULL)');
    await source.query(`INSERT INTO texts (text, n) VALUES (${placeholder}, 1)`, [MARKER]);
  });

  afterAll(() => source.destroy());

  it.each([
    ['twice the same key', `INSERT INTO texts (text, n) VALUES (?, 1)`],
    ['a row without a number', `INSERT INTO texts (text) VALUES (?)`],
    ['no such table', `INSERT INTO nothing (text) VALUES (?)`],
    ...(type === 'postgres'
      ? [
          ['text for a number', `SELECT CAST(? AS int)`],
          ['text for JSON', `SELECT CAST(? AS json)`],
        ]
      : []),
  ])('is logged without the text it was given: %s', async (_what, statement = '') => {
    const lines: string[] = [];
    const logger = createLogger('test', 'trace', { write: (line) => void lines.push(line) });
    const error = await failureOf(source, statement.replace('?', placeholder));
    const wrapped = new Error('The fold failed', { cause: error });
    expect(JSON.stringify(error)).toContain(MARKER);

    logger.error({ err: error }, 'failed');
    logger.error(error as Error);
    logger.error({ err: wrapped, error: wrapped, errors: [error], deep: { error } }, 'failed');
    logger.error({ err: new AggregateError([error], 'several') }, 'failed');
    new NestLogger(logger).error(error, 'Context');
    new NestLogger(logger).error('failed', error, 'Context');
    new Faults(logger).report('failed', error, { turn: 1 });

    expect(lines).toHaveLength(7);
    expect(lines.join('')).not.toContain(MARKER);
    expect(lines.join('')).not.toContain(statement);
    const last = JSON.parse(lines.at(-1) ?? '') as { err: Record<string, unknown>; turn: number };
    expect(last.turn).toBe(1);
    expect(Object.keys(last.err)).toEqual(['name', 'message', 'code', 'stack']);
    expect(last.err['stack']).toContain('logged-error.int.spec.ts');
  });
});

describe('other errors', () => {
  function logged(error: unknown): Record<string, unknown> {
    let text = '';
    const logger = createLogger('test', 'trace', { write: (line) => (text = line) });
    logger.error({ err: error }, 'failed');
    return (JSON.parse(text) as { err: Record<string, unknown> }).err;
  }

  it('keep name, message, code, stack and causes, and nothing that was hung on them', () => {
    const cause = Object.assign(new TypeError('inner'), { response: { body: MARKER } });
    const error = Object.assign(new Error('outer', { cause }), { code: 'E1', detail: MARKER });
    expect(logged(error)).toEqual({
      name: 'Error',
      message: 'outer',
      code: 'E1',
      stack: expect.stringMatching(/^Error: outer\n +at /) as unknown,
      cause: {
        name: 'TypeError',
        message: 'inner',
        stack: expect.stringContaining('TypeError: inner') as unknown,
      },
    });
  });

  it('are bounded, also in a circle of causes', () => {
    const error = new Error('x'.repeat(5000));
    error.cause = error;
    expect(String(logged(error)['message'])).toHaveLength(1001);
    expect(JSON.stringify(logged(error)).length).toBeLessThan(40_000);
  });

  it('that are no errors at all are named so', () => {
    expect(logged({ text: MARKER })).toBe('something that is no Error');
    expect(logged('plain words')).toBe('plain words');
  });
});
