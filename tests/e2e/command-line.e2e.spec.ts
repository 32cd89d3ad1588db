import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readdirSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { text } from 'node:stream/consumers';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Agent } from './clients/agent.js';
import { embeddedProgram } from './topology/embedded.js';

const PROGRAM = path.resolve(import.meta.dirname, '../../dist/apps/sbp-server/src/main.js');

const UNKNOWN = '90fa4e0c-278b-4cf8-bfba-4ba2f06e52da';

let folder: string;

beforeEach(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'statebridge-cli-'));
});

afterEach(async () => {
  await rm(folder, { recursive: true, force: true });
});

/** Runs `sbp-server` until it ends by itself, with no setting but these. */
async function run(args: readonly string[], env: Readonly<Record<string, string>> = {}) {
  const child = spawn(process.execPath, [PROGRAM, ...args], {
    cwd: folder,
    env: { PATH: process.env['PATH'], ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  try {
    const [out, problem] = await Promise.all([
      text(child.stdout),
      text(child.stderr),
      once(child, 'close'),
    ]);
    return { code: child.exitCode, out, problem };
  } finally {
    child.kill('SIGKILL');
  }
}

describe('sbp-server', () => {
  it.each([
    '--help',
    '-h',
    'help',
    'start --help',
    'start --port 1 -h',
    'demo-model --help',
    'rebuild --help',
    'log --help',
  ])('%s prints help and ends with 0', async (line) => {
    const { code, out, problem } = await run(line.split(' '));
    expect([code, problem]).toEqual([0, '']);
    expect(out).toMatch(/^Usage: sbp-server <command>/);
    expect(readdirSync(folder)).toEqual([]);
  });

  it('without a command prints help as a problem', async () => {
    expect(await run([])).toMatchObject({ code: 2, out: '' });
  });

  it.each([
    ['a file', 'file', 'is a file and not a directory'],
    ['a place below a file', 'file/data', 'is a file and not a directory'],
    ['a place that takes no folders', '/proc/x', 'cannot be made in its parent directory'],
  ])('tells in one line that its data directory is %s', async (_what, dataDir, why) => {
    await writeFile(path.join(folder, 'file'), '');
    const { code, out, problem } = await run(['start', '--port', '0', '--data-dir', dataDir]);
    expect([code, out]).toEqual([1, '']);
    expect(problem.trimEnd().split('\n')).toHaveLength(1);
    expect(problem).toContain(`The data directory ${path.resolve(folder, dataDir)} cannot be used`);
    expect(problem).toContain(why);
    expect(problem).toContain('Choose another with --data-dir');
  });

  it('tells in one line that its port is taken', async () => {
    const other = createServer().listen(0, '127.0.0.1');
    await once(other, 'listening');
    const { port } = other.address() as AddressInfo;
    const { code, out, problem } = await run(['start', '--port', String(port)]);
    other.close();
    expect([code, out]).toEqual([1, '']);
    expect(problem).toBe(
      `Port ${port} of 127.0.0.1 is in use by another program (EADDRINUSE). ` +
        'End it, or choose another port with --port.\n',
    );
  });

  it('names all wrong settings at once, the secret among them', async () => {
    const { code, problem } = await run(['start', '--port', 'x'], {
      SBP_JWT_SECRET: 'short',
      SBP_LOG_LEVEL: 'warn',
      SBP_TRACK: 'never',
    });
    expect(code).toBe(1);
    expect(problem.trimEnd().split('\n')).toEqual([
      expect.stringMatching(/^--port: /) as unknown,
      expect.stringMatching(/^SBP_JWT_SECRET: has 5 bytes and needs at least 16/) as unknown,
      expect.stringMatching(/^SBP_TRACK: /) as unknown,
    ]);
  });

  it.each(['mistyped', '.'])('rebuilds nothing in %s, which has no store', async (dataDir) => {
    const { code, problem } = await run(['rebuild', '--data-dir', dataDir]);
    expect(code).toBe(1);
    expect(problem).toContain(`${path.resolve(folder, dataDir)} cannot be used: there is no store`);
    expect(existsSync(path.join(folder, 'mistyped'))).toBe(false);
    expect(readdirSync(folder)).toEqual([]);
  });

  it.each([
    ['log', /^log: the id of a session must come first/],
    ['log --json', /^log: the id of a session must come first/],
    [`log ${UNKNOWN} --port 1`, /^--port: is not known here\. Known are: --data-dir, --content/],
    [`log ${UNKNOWN}`, /cannot be used: there is no store/],
  ])('%s says in one line what is wrong', async (line, problem) => {
    const said = await run(line.split(' '));
    expect([said.code, said.out]).toEqual([1, '']);
    expect(said.problem.trimEnd().split('\n')).toHaveLength(1);
    expect(said.problem).toMatch(problem);
  });

  it('logs a session while no server runs on its data directory', async () => {
    const server = embeddedProgram(folder);
    await server.start();
    const { sbp } = await new Agent(server.url).turn('What is in the log?');
    const log = ['log', sbp.session_id, '--data-dir', folder];
    const during = await run(log);
    await server.stop();
    expect([during.code, during.out]).toEqual([1, '']);
    expect(during.problem).toContain('a server runs on it; stop it first');

    const told = await run(log);
    expect([told.code, told.problem]).toEqual([0, '']);
    expect(told.out).toMatch(/session\.opened[^]+turn\.started[^]+turn\.completed/);
    expect(told.out).not.toContain('What is in the log?');
    const { out } = await run([...log, '--json', '--content']);
    expect(JSON.parse(out)).toMatchObject({ sessionId: sbp.session_id, readModels: 'same' });
    expect(out).toContain('What is in the log?');

    const unknown = await run(['log', UNKNOWN, '--data-dir', folder]);
    expect(unknown).toMatchObject({ code: 1, out: '' });
    expect(unknown.problem).toMatch(/^The log has no session /);
  });
});
