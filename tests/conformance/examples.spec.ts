import { execFileSync } from 'node:child_process';
import { stripTypeScriptTypes } from 'node:module';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { ROOT, filesBelow, textOf } from './repository.js';

const DOCUMENTS = ['README.md', 'examples/README.md', 'docs/consumers.md'];
const examples = filesBelow(['examples'], (file) => !file.endsWith('.md'));

/** Code in a document, and the file, or the region of one, that the comment above it names. */
interface Shown {
  readonly document: string;
  readonly source: string | null;
  readonly code: string;
}

function shownIn(document: string): readonly Shown[] {
  const blocks = /(?:<!-- (?<source>\S+) -->\n\n)?```(?:ts|js|python)\n(?<code>[^]*?)\n```/g;
  return [...textOf(document).matchAll(blocks)].map(({ groups }) => ({
    document,
    source: groups?.['source'] ?? null,
    code: groups?.['code'] ?? '',
  }));
}

/** What `file` or `file#region` holds, by a path from the document. */
function sourceText(document: string, source: string): string {
  const [file = '', region] = source.split('#');
  const text = textOf(path.join(path.dirname(document), file));
  if (region === undefined) return text.trimEnd();
  const [, after = ''] = text.split(`#region ${region}\n`);
  return after.split(/\n(?:\/\/|#) #endregion/)[0] ?? '';
}

describe('the examples', () => {
  it.each(DOCUMENTS.flatMap(shownIn))(
    'are shown by $document as they are: $source',
    ({ document, source, code }) => {
      expect(source).not.toBeNull();
      expect(code).toBe(sourceText(document, source ?? ''));
    },
  );

  it('are each named by their README', () => {
    const text = textOf('examples/README.md');
    const names = examples.map((file) => path.basename(file));
    expect(names.filter((name) => !text.includes(`](${name})`))).toEqual([]);
  });

  it.each(examples.filter((file) => file.endsWith('.ts')))(
    '%s is TypeScript that Node runs by taking the types away',
    (file) => {
      expect(stripTypeScriptTypes(textOf(file))).toMatch(
        /'(http:\/\/localhost:8080|localhost:9092)'|^export /m,
      );
    },
  );

  it.each(examples.filter((file) => file.endsWith('.py')))('%s is Python', (file) => {
    const parse = 'import ast, sys; print(type(ast.parse(sys.stdin.read())).__name__)';
    const said = execFileSync('python3', ['-c', parse], { input: textOf(file), cwd: ROOT });
    expect(said.toString()).toBe('Module\n');
  });
});
