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
import Sqlite from 'better-sqlite3';
import { AuditResponse } from '#libs/protocol';
import { Agent } from './clients/agent.js';
import { eventually } from './clients/waiting.js';
import { SECRET } from './topology/settings.js';
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
    'audit --help',
    'audit verify --help',
    'surface --help',
  ])('%s prints help and ends with 0', async (line) => {
    const { code, out, problem } = await run(line.split(' '));
    expect([code, problem]).toEqual([0, '']);
    expect(out).toMatch(/^Usage: sbp-server <command>/);
    expect(readdirSync(folder)).toEqual([]);
  });

  it('roams: an export is shown, imported elsewhere by its URL, and both are relatives', async () => {
    const program = embeddedProgram(path.join(folder, 'data'));
    await program.start();
    try {
      const url = ['--url', program.url];
      const { sbp } = await new Agent(program.url).turn('Hello.');
      const { session_id: id, session_token: token } = sbp;
      const out = await run(['roam', id, '--label', 'Tokyo trip', '--ttl', '60', ...url], {
        SBP_SESSION_TOKEN: token,
      });
      expect([out.code, out.problem]).toEqual([0, '']);
      expect(out.out).toMatch(/[▀▄█]{10}/);
      const link = /sbp-server import (\S+)\n$/.exec(out.out)?.[1] ?? '';
      expect(link.startsWith(`${program.url}/v1/sbp/token/eyJ`)).toBe(true);
      const back = await run(['import', link, '--agent', 'other', ...url]);
      expect([back.code, back.problem]).toEqual([0, '']);
      const copy = /^Session (\S+) of the agent "other": 2 messages/.exec(back.out)?.[1] ?? '';
      expect(back.out).toContain(`sbp-server surface --url ${program.url} --session ${copy}`);
      const family = await run(['lineage', copy, ...url]);
      expect(family.out).toBe(`${id}\n└─ import "Tokyo trip": ${copy} ←\n`);
      const again = await run(['import', link, ...url]);
      expect([again.code, again.problem]).toEqual([
        1,
        'The server answers 410: The export was used: it imports once.\n',
      ]);
    } finally {
      await program.stop();
    }
  });

  it.each([
    ['roam', 'The id of a session must come first.'],
    ['roam x', 'The id of a session must come first.'],
    [
      'import hello',
      'A roaming token, or a URL that `sbp-server roam` has shown, must come first.',
    ],
    ['lineage', 'The id of a session must come first.'],
    ['keys', 'keys: `list` or `rotate` must come first.'],
    ['token', 'token: `create`, `list` or `revoke` must come first.'],
    ['token create', '--principal: is missing. It names who the key is for.'],
    ['token create --principal a --role root', '--role: must be one of user, operator'],
    [
      'token create --principal a --ttl-days 0',
      '--ttl-days: must be a whole number from 1 to 99999',
    ],
    ['token revoke x', 'token revoke: there is no key x. See `sbp-server token list`.'],
    ['config --port x', '--port: must be a whole number from 0 to 65535'],
    ['audit', 'audit: `verify` or `export` must come first.'],
    ['audit export --session x', '--session: must be the id of a session'],
    ['audit export --from -1', '--from: must be a whole number from 0 on'],
    ['keys rotate --alg RSA', '--alg: must be one of EdDSA, ES256'],
  ])('%s says what is missing', async (line, problem) => {
    const found = await run(line.split(' '));
    expect([found.code, found.out]).toEqual([1, '']);
    expect(found.problem.trimEnd()).toBe(problem);
  });

  it('lists its keys, and makes new ones', async () => {
    const none = await run(['keys', 'list']);
    expect(none.out).toContain('the secret signs');
    const one = await run(['keys', 'rotate']);
    expect(one.out).toMatch(/^\S+ {2}EdDSA {2}made \S+ {2}signs\n$/);
    const two = await run(['keys', 'rotate', '--alg', 'ES256']);
    expect(two.out.split('\n')).toEqual([
      expect.stringMatching(/ES256 {2}made \S+ {2}signs$/),
      expect.stringMatching(/EdDSA {2}made \S+ {2}retired \S+$/),
      '',
    ]);
    expect((await run(['keys', 'list'])).out).toBe(two.out);
  });

  it('makes an API key, which a server requires and a command sends', async () => {
    const made = await run(['token', 'create', '--principal', 'ann', '--label', 'laptop']);
    expect([made.code, made.problem]).toEqual([0, '']);
    const [key = '', told = ''] = made.out.split('\n');
    expect(told).toMatch(/^This is shown once\. (\S{12}) {2}user {2}ann {2}made \S+ {2}laptop$/);
    const listed = await run(['token', 'list']);
    expect(listed.out).toBe(`${told.replace('This is shown once. ', '')}\n`);
    const program = embeddedProgram(path.join(folder, 'data'), 0, {
      SBP_AUTH: 'required',
      SBP_API_KEY_FILE: path.join(folder, '.data', 'api-keys.json'),
    });
    await program.start();
    try {
      const agent = new Agent(program.url);
      const authorization = `Bearer ${key}`;
      const { sbp } = await agent.turn('Hello.', {}, { headers: { authorization } });
      const url = ['--url', program.url];
      const refused = await run(['lineage', sbp.session_id, ...url]);
      expect(refused.problem).toMatch(/^The server answers 401: Authorization is missing/);
      const family = await run(['lineage', sbp.session_id, ...url], { SBP_API_KEY: key });
      expect([family.code, family.problem]).toEqual([0, '']);
      await run(['token', 'revoke', key.split('_')[1] ?? '']);
      const status = async () => (await agent.get('sessions', { authorization })).status;
      await eventually(async () => expect(await status()).toBe(401));
    } finally {
      await program.stop();
    }
  });

  it('prints every setting with what has set it, and no secret', async () => {
    const { out } = await run(['config', '--port', '9'], {
      SBP_JWT_SECRET: 'never-to-be-shown',
      SBP_TRACK: 'always',
    });
    const lines = out.trimEnd().split('\n');
    expect(lines).toContain('SBP_PORT=9  # --port');
    expect(lines).toContain('SBP_TRACK=always  # environment');
    expect(lines).toContain('SBP_JWT_SECRET=(hidden)  # environment');
    expect(lines).toContain('SBP_MAX_TURNS=1000  # default');
    expect(lines).toContain('SBP_LOG_LEVEL=warn  # default');
    expect(lines).toContain('SBP_KEY_FILE=.data/keys.json  # default');
    expect(lines).toContain('SBP_PUBLIC_URL=http://127.0.0.1:9  # default');
    expect(out).not.toContain('never-to-be-shown');
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

  it('surface opens a session, shows its turn, and ends at Ctrl-C', async () => {
    const server = embeddedProgram(folder);
    await server.start();
    const args = ['surface', '--url', server.url, '--tools', 'none', '--ask', 'Hello', '--json'];
    const child = spawn(process.execPath, [PROGRAM, ...args], {
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    const ended = once(child, 'close');
    const problem = text(child.stderr);
    let out = '';
    let interrupted = false;
    try {
      for await (const piece of child.stdout) {
        out += String(piece);
        const isShown = /"(TURN_COMPLETE|TETHER_TURN)"/.test(out);
        // A second one would end it before it has detached.
        if (isShown && !interrupted) interrupted = child.kill('SIGINT');
      }
      await ended;
    } finally {
      child.kill('SIGKILL');
      await server.stop();
    }
    expect([child.exitCode, await problem]).toEqual([0, '-- Detached.\n']);
    expect(out).toMatch(/^\{"session_id":"[^]+"SESSION_ATTACHED"[^]+"(TURN_COMPLETE|TETHER_TURN)"/);
  });

  it.each([
    ['surface --tools camera,shell', /^--tools: must be none, or some of/],
    ['surface --session x --token t', /^--session: is not a UUID/],
    ['surface --fast', /^Unknown option '--fast'/],
  ])('%s says what is wrong', async (line, problem) => {
    const said = await run(line.split(' '));
    expect([said.code, said.out]).toEqual([1, '']);
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

  it('verifies and exports the audit trail of a server that has stopped', async () => {
    const server = embeddedProgram(folder);
    await server.start();
    const agent = new Agent(server.url);
    const { sbp } = await agent.turn('Who is told of this?');
    const trail = async () =>
      AuditResponse.parse((await agent.get(`audit?session_id=${sbp.session_id}`)).json).records;
    await expect.poll(trail, { timeout: 30_000 }).toHaveLength(3);
    const records = await trail();
    await server.stop();
    const audit = (...args: readonly string[]) =>
      run(['audit', ...args, '--data-dir', folder], { SBP_JWT_SECRET: SECRET });

    const intact = await audit('verify', '--from-log');
    expect([intact.code, intact.problem]).toEqual([0, '']);
    expect(intact.out).toMatch(
      /^partition 0: 3 records, 1 checkpoints, chain [0-9a-f]{64}\nThe audit trail is intact: 3 records\.\n$/,
    );
    const exported = await audit('export', '--session', sbp.session_id);
    const lines = exported.out.trimEnd().split('\n');
    expect(lines.map((line) => JSON.parse(line) as unknown)).toEqual(records);
    const [, second] = records;
    const rest = await audit('export', '--partition', '0', '--from', String(second?.offset));
    expect(rest.out.trimEnd().split('\n')).toEqual(lines.slice(1));

    const file = new Sqlite(path.join(folder, 'statebridge.sqlite'));
    file.prepare(`UPDATE audit_records SET principal = 'x' WHERE "offset" = ?`).run(second?.offset);
    file.close();
    const damaged = await audit('verify', '--json');
    expect(damaged.code).toBe(1);
    expect(JSON.parse(damaged.out)).toMatchObject({
      intact: false,
      partitions: [{ damage: { partition: 0, offset: second?.offset } }],
    });
    const told = await audit('verify');
    expect([told.code, told.out]).toEqual([
      1,
      expect.stringMatching(
        `^partition 0, offset ${second?.offset}: .*\nThe audit trail is DAMAGED`,
      ),
    ]);
  });
});
