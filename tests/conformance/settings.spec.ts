import { describe, expect, it } from 'vitest';
import { ERRORS } from '#libs/protocol';
import { filesBelow, textOf } from './repository.js';

/**
 * Names of this form that are no settings: error codes, among them those that only a turn's `error`
 * has, and constants.
 */
const OTHER_NAMES = new Set([
  ...Object.keys(ERRORS),
  'SBP_UPSTREAM_ERROR',
  'SBP_TURN_ABANDONED',
  'SBP_VERSION',
  'SBP_LEVEL',
]);

/** Set by the project's own test runs, for their own processes. */
const OF_TEST_RUNS = /^SBP_(?:TEST|CHAOS)_/;

function names(text: string): readonly string[] {
  return [...text.matchAll(/\bSBP_[A-Z0-9_]*[A-Z0-9]\b/g)]
    .map(([name]) => name)
    .filter((name) => !OTHER_NAMES.has(name) && !OF_TEST_RUNS.test(name));
}

function flags(text: string): readonly string[] {
  return [...text.matchAll(/(?<![\w-])--[a-z][a-z-]+/g)].map(([flag]) => flag);
}

const missingIn = (text: string, all: readonly string[]): readonly string[] =>
  [...new Set(all)].filter((name) => !text.includes(`\`${name}`)).sort();

describe('docs/settings.md', () => {
  const text = textOf('docs/settings.md');
  const sources = filesBelow(
    ['apps', 'libs', 'tools', 'tests'],
    (file) => /\.(ts|mjs)$/.test(file) && !/\.(spec|contract)\.ts$/.test(file),
  );
  const used = sources.flatMap((file) => names(textOf(file)));

  it('describes every environment variable that the code reads', () => {
    expect(used.length).toBeGreaterThan(20);
    expect(missingIn(text, used)).toEqual([]);
  });

  it('is about variables that become settings', () => {
    const place = 'libs/runtime/src/settings';
    const variables = names(textOf(`${place}/settings-schema.ts`));
    const read = ['settings', 'auth-settings'].flatMap((file) =>
      names(textOf(`${place}/${file}.ts`)),
    );
    expect(variables.filter((name) => !read.includes(name))).toEqual([]);
  });

  it('describes no variable that the code does not know', () => {
    expect(names(text).filter((name) => !used.includes(name))).toEqual([]);
  });

  it.each(['apps/sbp-server/src/main.ts', 'tools/stack/command-line.ts'])(
    'describes every flag of %s',
    (file) => {
      const known = flags(textOf(file));
      expect(known.length).toBeGreaterThan(2);
      expect(missingIn(text, known)).toEqual([]);
    },
  );
});
