import { textOf } from '../conformance/repository.js';

/** Stand-ins for what an operator makes. */
export const EXAMPLE_SECRETS = {
  SBP_JWT_SECRET: 'a-secret-of-the-tests-that-is-long-enough',
  SBP_POSTGRES_URL: 'postgres://statebridge:password@postgres:5432/statebridge',
} as const;

/** Which of these variables are no settings. */
export function unknownSettings(names: readonly string[]): readonly string[] {
  const documented = textOf('docs/settings.md');
  return names.filter((name) => !documented.includes(`\`${name}\``));
}

/** An image by a release: `name:1.2…`, and no `latest`. */
export const EXACT_TAG = /^[\w./-]+:v?\d+\.\d+[\w.-]*$/;
