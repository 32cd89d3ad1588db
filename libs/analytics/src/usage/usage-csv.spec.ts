import { describe, expect, it } from 'vitest';
import { usageCsv } from './usage-csv.js';
import { usageRow } from './usage-row.js';

const csvOf = (model: string): string =>
  usageCsv(['model'], [usageRow({ model }, new Map())]).split('\r\n')[1] ?? '';

describe('usage as CSV', () => {
  it('has a line of names, and a line for each row', () => {
    const values = new Map([
      ['turns.completed', 2],
      ['cost.nano_usd', 37_500],
      ['error.SBP_UPSTREAM_ERROR', 1],
      ['error.SBP_TURN_ABANDONED', 3],
      ['tool.result', 4],
    ]);
    const keys = { day: '2026-05-10', model: 'gpt-4o' };
    const [head = '', line = '', rest] = usageCsv(['day', 'model'], [usageRow(keys, values)]).split(
      '\r\n',
    );
    const cells = Object.fromEntries(
      head.split(',').map((name, index) => [name, line.split(',')[index]]),
    );
    expect(cells).toMatchObject({
      ...keys,
      turns_completed: '2',
      cost_usd: '0.000037500',
      errors: 'SBP_UPSTREAM_ERROR=1; SBP_TURN_ABANDONED=3',
      tool_calls: 'result=4',
      model_ms_p95: '',
    });
    expect(rest).toBe('');
  });

  it.each([
    ['a, "b"', '"a, ""b"""'],
    ['two\nlines', '"two\nlines"'],
    ['=HYPERLINK("http://x")', `"'=HYPERLINK(""http://x"")"`],
    ['+1', `'+1`],
    ['-1', `'-1`],
    ['@SUM(A1)', `'@SUM(A1)`],
    ['\t=1', `'\t=1`],
    [' =1', `' =1`],
    ['gpt-4o', 'gpt-4o'],
  ])('quotes the text %j, and makes no formula of it', (model, expected) => {
    expect(csvOf(model).startsWith(`${expected},`)).toBe(true);
  });
});

describe('a percentile', () => {
  const row = (counts: Record<string, number>) =>
    usageRow({}, new Map(Object.entries(counts))).model_ms;

  it('is the bound of the bucket that it falls into, and never above the maximum', () => {
    expect(
      row({
        'model_ms.count': 100,
        'model_ms.sum': 9_000,
        'max.model_ms': 430,
        'model_ms.le.50': 60,
        'model_ms.le.250': 34,
        'model_ms.le.500': 6,
      }),
    ).toEqual({ count: 100, sum: 9_000, max: 430, p50: 50, p95: 430 });
  });

  it('is the maximum behind the last bound, and null of nothing', () => {
    const longest = { 'model_ms.count': 1, 'max.model_ms': 9e11, 'model_ms.le.more': 1 };
    expect(row(longest)).toMatchObject({ p50: 9e11, p95: 9e11 });
    expect(row({})).toEqual({ count: 0, sum: 0, max: 0, p50: null, p95: null });
  });
});
