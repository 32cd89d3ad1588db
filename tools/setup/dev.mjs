// The embedded server for somebody who changes it: the compiler watches the sources, and each time
// that it has written a build without errors the server is started anew. A compile error leaves the
// server of the last good build running. Arguments are those of `sbp-server start`.
import { spawn } from 'node:child_process';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { prepareOutput } from './build.mjs';

const STOP_MS = 5000;

const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '../..');
const program = path.join(root, 'dist/apps/sbp-server/src/main.js');
const say = (message) => process.stderr.write(`[dev] ${message}\n`);

let server = null;
/** Set while the server is being stopped or started; another change then waits for its end. */
let restarting = null;
let changedAgain = false;
let ending = false;

say('The server is rebuilt and restarted as files change; Ctrl-C ends it.');
prepareOutput(root);
const compiler = runApart(
  [
    path.join(root, 'node_modules/typescript/bin/tsc'),
    ...['-p', 'tsconfig.build.json', '--watch', '--preserveWatchOutput', '--pretty', 'false'],
  ],
  'pipe',
);
createInterface({ input: compiler.stdout }).on('line', onCompilerLine);
compiler.on('exit', (code) => {
  if (ending) return;
  say(`The compiler ended (exit code ${code}).`);
  void end(1);
});
// Who read our output is gone.
for (const output of [process.stdout, process.stderr]) output.on('error', () => void end(1));
// However we end, nothing of ours runs on.
process.on('exit', () => {
  compiler.kill('SIGTERM');
  server?.kill('SIGTERM');
});
// A terminal's Ctrl-C may reach us twice, directly and through npm: the first one counts.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => void end(0));

function onCompilerLine(line) {
  const errors = /Found (\d+) errors?\. Watching for file changes\./.exec(line)?.[1];
  if (errors === undefined) {
    if (/error TS\d+/.test(line) || /^\s/.test(line)) process.stderr.write(`${line}\n`);
    else if (line.includes('File change detected')) say('A file changed: building …');
  } else if (errors === '0') restart();
  else
    say(
      `Compile errors, above: ${errors}. ${server === null ? 'No server runs yet' : 'The last good build runs on'}.`,
    );
}

function restart() {
  if (ending) return;
  if (restarting !== null) {
    changedAgain = true;
    return;
  }
  restarting = startAnew().finally(() => {
    restarting = null;
    if (!changedAgain) return;
    changedAgain = false;
    restart();
  });
}

async function startAnew() {
  say(server === null ? 'Built: starting the server.' : 'Built: restarting the server.');
  await stopServer();
  if (ending) return;
  const child = runApart(
    ['--enable-source-maps', program, 'start', ...process.argv.slice(2)],
    'inherit',
  );
  server = child;
  child.on('exit', (code, signal) => {
    if (server !== child) return;
    server = null;
    say(`The server ended (${signal ?? `exit code ${code}`}); it starts again at the next change.`);
  });
}

async function stopServer() {
  const child = server;
  server = null;
  if (child === null || child.exitCode !== null || child.signalCode !== null) return;
  const ended = new Promise((resolve) => child.once('exit', resolve));
  child.kill('SIGTERM');
  const forced = setTimeout(() => child.kill('SIGKILL'), STOP_MS);
  await ended;
  clearTimeout(forced);
}

async function end(code) {
  if (ending) return;
  ending = true;
  compiler.kill('SIGTERM');
  await restarting;
  await stopServer();
  process.exit(code);
}

/** In a process group of its own, so that a terminal's Ctrl-C reaches only us, who end it once. */
function runApart(args, stdout) {
  return spawn(process.execPath, args, {
    cwd: root,
    detached: true,
    stdio: ['ignore', stdout, 'inherit'],
  });
}
