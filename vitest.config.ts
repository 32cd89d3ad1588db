import { configDefaults, defineConfig } from 'vitest/config';
import { LongestFirst } from './tests/setup/longest-first.js';

const conditions = ['statebridge-source', 'node'];

/** Which specs a run may choose from, by their suffixes: npm run test:unit and its like. */
const TIERS: Readonly<Record<string, { include: string[]; exclude?: string[] }>> = {
  unit: { include: ['**/*.spec.ts'], exclude: ['**/*.{int,e2e,chaos}.spec.ts'] },
  int: { include: ['**/*.int.spec.ts'] },
  e2e: { include: ['**/*.e2e.spec.ts'] },
  // Those that import what they test, so that a change runs them again, and never an old build.
  watch: { include: ['**/*.spec.ts'], exclude: ['**/*.{e2e,chaos}.spec.ts'] },
};
const tier = TIERS[process.env['TEST_TIER'] ?? ''] ?? { include: ['**/*.spec.ts'] };

export default defineConfig({
  resolve: { conditions },
  ssr: { resolve: { conditions } },
  test: {
    include: tier.include.map((pattern) => `{apps,libs,tools,tests}/${pattern}`),
    exclude: [...configDefaults.exclude, ...(tier.exclude ?? [])],
    globalSetup: ['tests/setup/infrastructure.ts'],
    testTimeout: 120_000,
    hookTimeout: 180_000,
    // Most of the long ones wait for processes of theirs, so one more than the machine has cores.
    maxWorkers: 3,
    sequence: { sequencer: LongestFirst },
    passWithNoTests: false,
  },
});
