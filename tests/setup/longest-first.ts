import type { TestSpecification } from 'vitest/node';
import { BaseSequencer } from 'vitest/node';

/** By their suffixes, the kinds of specs from those that take minutes to those that take ms. */
const KINDS = [/\.chaos\.spec\.ts$/, /\.e2e\.spec\.ts$/, /\.int\.spec\.ts$/];

function kindOf({ moduleId }: TestSpecification): number {
  const kind = KINDS.findIndex((pattern) => pattern.test(moduleId));
  return kind === -1 ? KINDS.length : kind;
}

/** Begins with the files that take longest, so that no worker has one of them left at the end. */
export class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const sorted = await super.sort(files);
    return sorted.toSorted((one, other) => kindOf(one) - kindOf(other));
  }
}
