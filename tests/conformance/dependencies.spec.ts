import { describe, expect, it } from 'vitest';
import { textOf } from './repository.js';

interface Manifest {
  readonly dependencies: Readonly<Record<string, string>>;
  readonly devDependencies: Readonly<Record<string, string>>;
  readonly optionalDependencies: Readonly<Record<string, string>>;
}

const manifest = JSON.parse(textOf('package.json')) as Manifest;

/** The packages in the first column of the table below a heading of docs/dependencies.md. */
function documented(heading: string): readonly string[] {
  const section =
    textOf('docs/dependencies.md').split(`\n## ${heading}\n`)[1]?.split('\n## ')[0] ?? '';
  return [...section.matchAll(/^\| `([^`]+)`/gm)]
    .flatMap(([, name]) => (name === undefined ? [] : [name]))
    .sort();
}

describe('docs/dependencies.md', () => {
  it.each([
    ['Runtime', manifest.dependencies],
    ['Node itself', manifest.optionalDependencies],
    ['Development', manifest.devDependencies],
  ])('names under %s exactly what package.json has', (heading, packages) => {
    expect(documented(heading)).toEqual(Object.keys(packages).sort());
  });

  it('names under Python exactly what the requirements ask for', () => {
    const asked = textOf('tests/e2e/python/requirements.in').trim().split('\n');
    expect(documented('Python')).toEqual(asked.map((line) => line.split('==')[0]));
  });

  it('gives each runtime dependency the licence that its package states', () => {
    const text = textOf('docs/dependencies.md');
    const wrong = Object.keys(manifest.dependencies).filter((name) => {
      const { license } = JSON.parse(textOf(`node_modules/${name}/package.json`)) as {
        license: string;
      };
      const row = text.split('\n').find((line) => line.startsWith(`| \`${name}\``));
      return row?.split('|').at(-2)?.trim() !== license;
    });
    expect(wrong).toEqual([]);
  });
});
