import { describe, expect, it } from 'vitest';
import { ROOT, filesBelow, textOf } from './repository.js';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const PAGES = ['docs/protocol.md', 'docs/surfaces.md', 'docs/roaming.md', 'docs/consumers.md'];

interface Requirement {
  readonly id: string;
  readonly isBuilt: boolean;
}

/**
 * Requirements as the pages of the wire contract list them; a heading 'Not built yet' holds until
 * the next heading.
 */
function requirements(): readonly Requirement[] {
  const found: Requirement[] = [];
  let isBuilt = true;
  for (const line of PAGES.flatMap((page) => textOf(page).split('\n'))) {
    if (line.startsWith('#')) isBuilt = !line.endsWith('Not built yet');
    const id = /^- \*\*\[(SBP-[A-Z0-9]+-\d\d)\]\*\*/.exec(line)?.[1];
    if (id !== undefined) found.push({ id, isBuilt });
  }
  return found;
}

/** The ids that tests name, with the files that do. */
function citations(): ReadonlyMap<string, readonly string[]> {
  const here = path.relative(ROOT, fileURLToPath(import.meta.url));
  const isTest = (file: string): boolean =>
    /\.(spec|contract|suite)\.ts$/.test(file) && file !== here;
  const cited = new Map<string, string[]>();
  for (const file of filesBelow(['apps', 'libs', 'tests', 'tools'], isTest)) {
    for (const [, id] of textOf(file).matchAll(/\[(SBP-[A-Z0-9]+-\d+)\]/g)) {
      if (id !== undefined) cited.set(id, [...(cited.get(id) ?? []), file]);
    }
  }
  return cited;
}

describe('the requirements of the wire contract', () => {
  const all = requirements();
  const cited = citations();
  const built = all.filter(({ isBuilt }) => isBuilt);

  it('have one id each', () => {
    const ids = all.map(({ id }) => id);
    expect(ids.length).toBeGreaterThan(80);
    expect(ids.filter((id, index) => ids.indexOf(id) !== index)).toEqual([]);
  });

  it('are each cited by a test where they count as built', () => {
    const uncited = built.filter(({ id }) => !cited.has(id)).map(({ id }) => id);
    const tests = new Set([...cited.values()].flat()).size;
    console.info(
      `${built.length - uncited.length} of ${built.length} built requirements are cited, in ${tests} test files; ` +
        `${all.length - built.length} are not built yet`,
    );
    expect(uncited).toEqual([]);
  });

  it('are cited only where they exist and count as built', () => {
    const known = new Set(built.map(({ id }) => id));
    expect([...cited].filter(([id]) => !known.has(id))).toEqual([]);
  });
});
