import { existsSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { ROOT, filesBelow, textOf } from './repository.js';

const documents = [
  'README.md',
  'CHANGELOG.md',
  'CONTRIBUTING.md',
  'examples/README.md',
  ...filesBelow(['docs'], (file) => file.endsWith('.md')),
];

/** Heading anchors as GitHub makes them. */
function anchors(text: string): readonly string[] {
  return [...text.matchAll(/^#+ (.+)$/gm)].map(([, heading = '']) =>
    heading
      .toLowerCase()
      .replace(/[^\p{L}\p{N} _-]/gu, '')
      .replaceAll(' ', '-'),
  );
}

describe('documents', () => {
  it.each(documents)('%s links to what is there', (document) => {
    const links = [...textOf(document).matchAll(/\]\(([^)\s]+)\)/g)].map(([, link = '']) => link);
    const broken = links.filter((link) => {
      if (/^[a-z]+:/.test(link)) return false;
      const [file = '', anchor] = link.split('#');
      const target = file === '' ? document : path.join(path.dirname(document), file);
      if (!existsSync(path.join(ROOT, target))) return true;
      return anchor !== undefined && !anchors(textOf(target)).includes(anchor);
    });
    expect(broken).toEqual([]);
  });

  it('define every invariant that the code cites', () => {
    const defined = new Set(
      [...textOf('docs/architecture.md').matchAll(/\*\*\[(A\d+)\]/g)].map(([, id]) => id),
    );
    const sources = filesBelow(['apps', 'libs'], (file) => file.endsWith('.ts'));
    const cited = new Set(
      sources.flatMap((file) => [...textOf(file).matchAll(/\[(A\d+)\]/g)].map(([, id]) => id)),
    );
    expect([...cited].filter((id) => !defined.has(id))).toEqual([]);
    expect(defined.size).toBeGreaterThanOrEqual(11);
  });

  it('name files of the project that are there', () => {
    const gone = documents.flatMap((document) =>
      [
        ...textOf(document).matchAll(
          /`((?:apps|libs|tools|tests|docs)\/[\w./-]+\.(?:ts|mjs|md|json))`/g,
        ),
      ]
        .map(([, file = '']) => file)
        .filter((file) => !existsSync(path.join(ROOT, file)))
        .map((file) => `${document}: ${file}`),
    );
    expect(gone).toEqual([]);
  });
});
