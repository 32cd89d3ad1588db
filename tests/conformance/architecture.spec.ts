import { createRequire } from 'node:module';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { ROOT, textOf } from './repository.js';

interface Boundaries {
  readonly forbidden: readonly { readonly name: string; readonly comment?: string }[];
}

const RULE = /^libs\/(\S+) may use: (.*)\.$/;

/** Which libraries each library may use, by the boundary check. */
function enforced(): ReadonlyMap<string, readonly string[]> {
  const require = createRequire(import.meta.url);
  const { forbidden } = require(path.join(ROOT, '.dependency-cruiser.cjs')) as Boundaries;
  return new Map(
    forbidden.flatMap(({ comment = '' }) => {
      const [, library, allowed = ''] = RULE.exec(comment) ?? [];
      if (library === undefined) return [];
      return [[library, allowed === 'no library of ours' ? [] : allowed.split(', ').sort()]];
    }),
  );
}

const names = (cell: string): readonly string[] =>
  [...cell.matchAll(/`([a-z-]+)`/g)].map(([, name = '']) => name);

/** The same, by the table of docs/architecture.md. */
function documented(): ReadonlyMap<string, readonly string[]> {
  const table = new Map<string, readonly string[]>();
  const parts = textOf('docs/architecture.md')
    .split('\n## ')
    .find((each) => each.startsWith('Parts'));
  for (const line of parts?.split('\n') ?? []) {
    const [, libraries = '', , allowed] = line.split('|');
    if (allowed === undefined || !/^ `[a-z]/.test(libraries) || line.split('|').length !== 5)
      continue;
    const isWritten = allowed.includes('all of the above');
    for (const library of names(libraries)) {
      table.set(library, isWritten ? ['all of the above'] : [...names(allowed)].sort());
    }
  }
  return table;
}

describe('the table of libraries in docs/architecture.md', () => {
  it('says of each library what the boundary check lets it use', () => {
    const table = documented();
    const rules = enforced();
    const rows = [...table.keys()];
    const foundation = rows.slice(
      0,
      rows.findIndex((library) => table.get(library)?.[0] === 'all of the above'),
    );
    expect(foundation.length).toBeGreaterThan(10);
    for (const [library, allowed] of rules) {
      const said = table.get(library);
      const all = said?.[0] === 'all of the above';
      expect([library, all ? foundation.toSorted() : said]).toEqual([library, allowed]);
    }
  });
});
