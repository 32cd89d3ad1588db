import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { say } from './say.mjs';

/**
 * Makes `node_modules` agree with `package-lock.json`, by `npm ci` and only where it does not agree
 * yet. The stamp lies inside `node_modules`, so that deleting the folder deletes it too.
 */
export function install(root) {
  const lockText = readFileSync(path.join(root, 'package-lock.json'), 'utf8');
  const stampFile = path.join(root, 'node_modules', '.setup-stamp');
  const stamp = createHash('sha256').update(lockText).digest('hex');
  if (existsSync(stampFile) && readFileSync(stampFile, 'utf8') === stamp) return;
  if (!isInstalledByHand(root, lockText)) runNpm(root);
  writeFileSync(stampFile, stamp);
}

/**
 * Whether somebody's own `npm install` left exactly what the lockfile names; optional parts may be
 * absent.
 */
function isInstalledByHand(root, lockText) {
  const installedFile = path.join(root, 'node_modules', '.package-lock.json');
  if (!existsSync(installedFile)) return false;
  const installed = JSON.parse(readFileSync(installedFile, 'utf8')).packages;
  const wanted = JSON.parse(lockText).packages;
  return (
    Object.keys(installed).every((name) => name in wanted) &&
    Object.entries(wanted).every(
      ([name, entry]) =>
        name === '' ||
        (name in installed ? installed[name].version === entry.version : entry.optional === true),
    )
  );
}

function runNpm(root) {
  say('Installing dependencies (npm ci); the first time this takes up to a minute …');
  const started = Date.now();
  const npm = process.env.npm_execpath;
  const [command, args] = npm?.endsWith('.js') ? [process.execPath, [npm]] : ['npm', []];
  const result = spawnSync(command, [...args, 'ci', '--no-audit', '--no-fund'], {
    cwd: root,
    encoding: 'utf8',
    maxBuffer: 64 * 1024 * 1024,
  });
  if (result.status !== 0) {
    process.stderr.write(
      `${result.stdout ?? ''}${result.stderr ?? ''}${result.error ? `${result.error.message}\n` : ''}`,
    );
    say('npm ci failed; its output is above.');
    process.exit(1);
  }
  say(`Dependencies installed in ${Math.round((Date.now() - started) / 1000)} s.`);
}
