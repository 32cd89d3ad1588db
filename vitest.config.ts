import { configDefaults, defineConfig } from 'vitest/config';
import type { TestProjectInlineConfiguration } from 'vitest/config';
import { LongestFirst } from './tests/setup/longest-first.js';

const conditions = ['statebridge-source', 'node'];
const folders = '{apps,libs,tools,tests}';

/** The suffixes of specs that use real parts; all others end in `.spec.ts` alone. */
const WITH_PARTS = ['int', 'e2e', 'chaos'];

interface Tier {
  readonly unit: boolean;
  readonly withParts: readonly string[];
}

/** Which specs a run may choose from: npm run test:unit and its like. */
const TIERS: Readonly<Record<string, Tier>> = {
  unit: { unit: true, withParts: [] },
  int: { unit: false, withParts: ['int'] },
  e2e: { unit: false, withParts: ['e2e'] },
  // Those that import what they test, so that a change runs them again, and never an old build.
  watch: { unit: true, withParts: ['int'] },
};
const tier = TIERS[process.env['TEST_TIER'] ?? ''] ?? { unit: true, withParts: WITH_PARTS };

const units: TestProjectInlineConfiguration = {
  extends: true,
  test: {
    name: 'unit',
    include: [`${folders}/**/*.spec.ts`],
    exclude: [...configDefaults.exclude, `**/*.{${WITH_PARTS.join()}}.spec.ts`],
    // They leave nothing behind, and loading what they test takes longer than they do.
    isolate: false,
  },
};

const withParts: TestProjectInlineConfiguration = {
  extends: true,
  test: {
    name: 'parts',
    include: tier.withParts.map((suffix) => `${folders}/**/*.${suffix}.spec.ts`),
    globalSetup: ['tests/setup/infrastructure.ts'],
  },
};

export default defineConfig({
  resolve: { conditions },
  ssr: { resolve: { conditions } },
  test: {
    projects: [...(tier.unit ? [units] : []), ...(tier.withParts.length > 0 ? [withParts] : [])],
    testTimeout: 120_000,
    hookTimeout: 180_000,
    // Most of the long ones wait for processes of theirs, so one more than the machine has cores.
    maxWorkers: 3,
    sequence: { sequencer: LongestFirst },
    passWithNoTests: false,
  },
});
