import { randomBytes } from 'node:crypto';
import { closeSync, openSync, readFileSync, renameSync, statSync, writeFileSync } from 'node:fs';
import { lockFile } from '#libs/sql';
import type { z } from 'zod';

/** The file is looked at again after so long, in ms: another process may have changed it. */
const FRESH_MS = 1_000;

/** How long a change waits for that of another process, in ms. */
const LOCK_MS = 10_000;

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

  /**
   * Replaces the content by what `change` makes of it. Of processes that do so at once, each
   * begins with what the one before has left.
   * @throws UnusableKeys, also where another one does not end; what `change` throws: then it stays
   */
  change(change: (content: Content) => Content): void {
    const unlock = this.lock();
    try {
      this.known = null;
      this.write(change(this.read()));
      this.known = null;
    } finally {
      unlock();
    }
  }

  /** It appears whole or not at all. */
  private write(content: Content): void {
    const { path } = this.options;
    const draft = `${path}.${randomBytes(6).toString('hex')}.new`;
    writeFileSync(draft, `${JSON.stringify(content, null, 2)}\n`, { mode: 0o600, flush: true });
    renameSync(draft, path);
  }

  /** Of a file beside it. @throws UnusableKeys */
  private lock(): () => void {
    const path = `${this.options.path}.lock`;
    closeSync(openSync(path, 'a', 0o600));
    const unlock = lockFile(path, LOCK_MS);
    if (unlock !== null) return unlock;
    throw new UnusableKeys(`Another process changes ${this.options.path}. Try again.`);
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
