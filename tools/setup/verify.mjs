// All checks, one after the other, each by name; what a failed one says is shown. `--no-tests`
// leaves out the tests.
import { spawnSync } from 'node:child_process';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '../..');
const dependency = (file) => path.join(root, 'node_modules', file);

const CHECKS = [
  { name: 'format', args: [dependency('prettier/bin/prettier.cjs'), '--check', '.'] },
  { name: 'lint', args: [dependency('eslint/bin/eslint.js'), '.'] },
  { name: 'types', args: [dependency('typescript/bin/tsc'), '--noEmit', '-p', 'tsconfig.json'] },
  {
    name: 'boundaries',
    args: [
      dependency('dependency-cruiser/bin/dependency-cruise.mjs'),
      'apps',
      'libs',
      'tools',
      'tests',
    ],
  },
  {
    name: 'generated files',
    args: [
      '--enable-source-maps',
      path.join(root, 'dist', 'tools', 'generate', 'main.js'),
      '--check',
    ],
  },
  { name: 'unused code and dependencies', args: [dependency('knip/bin/knip.js')] },
  { name: 'tests', args: [dependency('vitest/vitest.mjs'), 'run'], isShown: true },
];

const checks = CHECKS.filter(
  ({ name }) => name !== 'tests' || !process.argv.includes('--no-tests'),
);
let failed = 0;
for (const { name, args, isShown } of checks) {
  const started = Date.now();
  const result = spawnSync(process.execPath, args, {
    cwd: root,
    encoding: 'utf8',
    maxBuffer: 64 * 1024 * 1024,
    stdio: isShown ? 'inherit' : 'pipe',
  });
  const seconds = ((Date.now() - started) / 1000).toFixed(1);
  if (result.status !== 0) {
    failed += 1;
    if (!isShown) process.stdout.write(`${result.stdout}${result.stderr}\n`);
  }
  console.log(`[verify] ${result.status === 0 ? 'ok    ' : 'FAILED'} ${name} (${seconds} s)`);
}
console.log(`[verify] ${checks.length - failed} of ${checks.length} checks passed`);
process.exit(failed === 0 ? 0 : 1);
