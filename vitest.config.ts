import { defineConfig } from 'vitest/config';

const conditions = ['statebridge-source', 'node'];

export default defineConfig({
  resolve: { conditions },
  ssr: { resolve: { conditions } },
  test: {
    include: ['{apps,libs,tools,tests}/**/*.spec.ts'],
    globalSetup: ['tests/setup/infrastructure.ts'],
    testTimeout: 60_000,
    hookTimeout: 120_000,
    maxWorkers: 2,
    passWithNoTests: false,
  },
});
