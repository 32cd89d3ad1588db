#!/usr/bin/env node
// Every npm script goes through here: it makes sure that dependencies and build are there, then
// runs the program. This file and those it imports use no dependency and run on any Node from 18
// on.
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from './build.mjs';
import { execute } from './execute.mjs';
import { install } from './install.mjs';
import { nodeBinary } from './node-binary.mjs';

const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '../..');
const dist = (file) => ['--enable-source-maps', path.join(root, 'dist', file)];
const dependency = (file) => [path.join(root, 'node_modules', file)];

/** Tests of a tier of vitest.config.ts, by default of all. End-to-end tests run the build. */
function tests(mode, tier) {
  const program = [...dependency('vitest/vitest.mjs'), mode];
  return { build: true, program, inRoot: true, env: tier ? { TEST_TIER: tier } : {} };
}

const COMMANDS = {
  start: { build: true, program: [...dist('apps/sbp-server/src/main.js'), 'start'] },
  dev: { build: false, program: [path.join(root, 'tools/setup/dev.mjs')] },
  stack: { build: true, program: dist('tools/stack/main.js') },
  test: tests('run'),
  'test:unit': tests('run', 'unit'),
  'test:int': tests('run', 'int'),
  'test:e2e': tests('run', 'e2e'),
  'test:watch': tests('watch', 'watch'),
  chaos: { build: true, program: dist('tools/chaos/main.js') },
  bench: { build: true, program: dist('tools/bench/main.js') },
  images: { build: true, program: dist('tools/images/main.js') },
  verify: { build: true, program: [path.join(root, 'tools/setup/verify.mjs')], inRoot: true },
  generate: { build: true, program: dist('tools/generate/main.js') },
  format: {
    build: false,
    program: [...dependency('prettier/bin/prettier.cjs'), '--write', '.'],
    inRoot: true,
  },
  build: { build: true },
};

const [name, ...rest] = process.argv.slice(2);
const command = Object.hasOwn(COMMANDS, name ?? '') ? COMMANDS[name] : undefined;
if (command === undefined) {
  process.stderr.write(`usage: run.mjs ${Object.keys(COMMANDS).join('|')} [options]\n`);
  process.exit(2);
}
install(root);
const node = nodeBinary(root);
if (command.build) build(root, node);
if (command.inRoot) process.chdir(root);
const options = rest[0] === '--' ? rest.slice(1) : rest;
if (command.program) execute(root, node, [...command.program, ...options], command.env);
