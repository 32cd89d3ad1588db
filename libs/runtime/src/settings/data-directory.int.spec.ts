import { chmodSync, mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { prepareDataDirectory } from './data-directory.js';

const NOBODY = 65_534;
const isRoot = process.geteuid?.() === 0;

let parent: string;

beforeEach(() => {
  parent = mkdtempSync(path.join(tmpdir(), 'statebridge-data-'));
});

afterEach(() => {
  rmSync(parent, { recursive: true });
});

/** Root may write everywhere: then as somebody who may not. */
function asOrdinaryUser(work: () => void): void {
  if (!isRoot) {
    work();
    return;
  }
  process.seteuid?.(NOBODY);
  try {
    work();
  } finally {
    process.seteuid?.(0);
  }
}

describe('the data directory', () => {
  it('is made with its parents, for its owner only, and left empty', () => {
    const directory = path.join(parent, 'new', 'data');
    prepareDataDirectory(directory);
    prepareDataDirectory(directory);
    expect(statSync(directory).mode & 0o777).toBe(0o700);
    expect(readdirSync(directory)).toEqual([]);
  });

  it.each(['', 'data'])('that may not be written to is named, with what to do', (below) => {
    chmodSync(parent, 0o555);
    const directory = path.join(parent, below);
    asOrdinaryUser(() => {
      expect(() => prepareDataDirectory(directory)).toThrow(
        `The data directory ${directory} cannot be used: this user may not write there (EACCES). ` +
          'Choose another with --data-dir or SBP_DATA_DIR.',
      );
    });
    chmodSync(parent, 0o755);
  });
});
