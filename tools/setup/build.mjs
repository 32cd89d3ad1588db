import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  existsSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import path from 'node:path';
import { say } from './say.mjs';

const SOURCE_ROOTS = ['apps', 'libs', 'tools', 'tests'];
const CONFIGURATION = ['tsconfig.json', 'tsconfig.build.json', 'package.json', 'package-lock.json'];

/**
 * Compiles the sources into `dist` if any of them changed since the last time that this succeeded.
 */
export function build(root, node) {
  const sources = sourcesOf(root);
  const stampFile = stampFileOf(root);
  const stamp = fingerprint([...sources, ...CONFIGURATION.map((file) => path.join(root, file))]);
  if (
    isComplete(root, sources) &&
    existsSync(stampFile) &&
    readFileSync(stampFile, 'utf8') === stamp
  )
    return;

  say('Building …');
  const started = Date.now();
  prepareOutput(root);
  const compiler = path.join(root, 'node_modules', 'typescript', 'bin', 'tsc');
  const result = spawnSync(node, [compiler, '-p', 'tsconfig.build.json'], {
    cwd: root,
    encoding: 'utf8',
  });
  if (result.status !== 0) {
    process.stderr.write(`${result.stdout ?? ''}${result.stderr ?? ''}`);
    say('The build failed; the errors are above.');
    process.exit(1);
  }
  mkdirSync(path.join(root, 'dist'), { recursive: true });
  writeFileSync(stampFile, stamp);
  say(`Built in ${((Date.now() - started) / 1000).toFixed(1)} s.`);
}

/** Makes `dist` ready for the compiler; until `build` ran again, no build counts as up to date. */
export function prepareOutput(root) {
  const sources = sourcesOf(root);
  rmSync(stampFileOf(root), { force: true });
  // The compiler trusts its own notes over the files: without them it writes everything again.
  if (!isComplete(root, sources))
    rmSync(path.join(root, 'dist', 'build.tsbuildinfo'), { force: true });
  removeStaleOutput(root, new Set(sources.map((source) => outputOf(root, source))));
}

function sourcesOf(root) {
  return SOURCE_ROOTS.flatMap((folder) => filesBelow(path.join(root, folder), isSource));
}

function stampFileOf(root) {
  return path.join(root, 'dist', '.build-stamp');
}

function isComplete(root, sources) {
  return sources.every((source) => existsSync(outputOf(root, source)));
}

function isSource(name) {
  return name.endsWith('.ts') && !/\.(spec|contract|d)\.ts$/.test(name);
}

function outputOf(root, source) {
  return path.join(root, 'dist', path.relative(root, source)).replace(/\.ts$/, '.js');
}

function fingerprint(files) {
  const hash = createHash('sha256');
  for (const file of files.sort()) {
    const { mtimeMs, size } = statSync(file);
    hash.update(`${file}\0${mtimeMs}\0${size}\n`);
  }
  return hash.digest('hex');
}

/** A deleted source must not live on as a module that can still be imported. */
function removeStaleOutput(root, wanted) {
  for (const folder of SOURCE_ROOTS) {
    for (const file of filesBelow(path.join(root, 'dist', folder), (name) =>
      name.endsWith('.js'),
    )) {
      if (wanted.has(file)) continue;
      rmSync(file);
      rmSync(`${file}.map`, { force: true });
    }
  }
}

function filesBelow(folder, accepts) {
  if (!existsSync(folder)) return [];
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    const full = path.join(folder, entry.name);
    if (entry.isDirectory()) return entry.name === 'node_modules' ? [] : filesBelow(full, accepts);
    return accepts(entry.name) ? [full] : [];
  });
}
