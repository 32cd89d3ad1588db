import { randomBytes } from 'node:crypto';
import { readFileSync, renameSync, statSync, writeFileSync } from 'node:fs';
import type { z } from 'zod';

/** The file is looked at again after so long, in ms: another process may have changed it. */
const FRESH_MS = 1_000;

/** A file of keys cannot be used; the message says why and what to do. */
export class UnusableKeys extends Error {
  override readonly name = 'UnusableKeys';
}

export interface KeptFileOptions<Content> {
  readonly path: string;
  readonly schema: z.ZodType<Content>;
  /** What it holds where there is no file. */
  readonly empty: Content;
  /** What it is, and how one is made, in words. */
  readonly what: string;
}

/**
 * A small JSON file that all processes of a server read, and that a command writes: a running
 * process sees a change within a second. Its group may read it, because Kubernetes gives secrets to
 * a pod's group; nobody else may.
 */
export class KeptFile<Content> {
  private known: { readonly content: Content; readonly at: number; readonly mtime: number } | null =
    null;

  constructor(private readonly options: KeptFileOptions<Content>) {}

  /** @throws UnusableKeys */
  read(): Content {
    const now = performance.now();
    if (this.known !== null && now - this.known.at < FRESH_MS) return this.known.content;
    const stats = statSync(this.options.path, { throwIfNoEntry: false });
    const mtime = stats?.mtimeMs ?? 0;
    const content = this.known?.mtime === mtime ? this.known.content : this.load(stats?.mode);
    this.known = { content, at: now, mtime };
    return content;
  }

  /** It appears whole or not at all. */
  write(content: Content): void {
    const { path } = this.options;
    const draft = `${path}.${randomBytes(6).toString('hex')}.new`;
    writeFileSync(draft, `${JSON.stringify(content, null, 2)}\n`, { mode: 0o600, flush: true });
    renameSync(draft, path);
    this.known = null;
  }

  private load(mode: number | undefined): Content {
    const { path, schema, empty, what } = this.options;
    if (mode === undefined) return empty;
    if ((mode & 0o027) !== 0) {
      throw new UnusableKeys(`${path} can be read by other users. Run \`chmod 600 ${path}\`.`);
    }
    try {
      return schema.parse(JSON.parse(readFileSync(path, 'utf8')));
    } catch {
      throw new UnusableKeys(`${path} is no ${what}`);
    }
  }
}
