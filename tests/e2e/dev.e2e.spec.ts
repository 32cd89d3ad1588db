import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { cp, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';

const ROOT = path.resolve(import.meta.dirname, '../..');
const COPIED = [
  ...['apps', 'libs', 'tools', 'tests', 'dist'],
  ...['package.json', 'package-lock.json', 'tsconfig.json', 'tsconfig.build.json'],
];
const PATIENT = { timeout: 150_000 };

let copy: string;

beforeAll(async () => {
  copy = await mkdtemp(path.join(tmpdir(), 'statebridge-dev-'));
  for (const part of COPIED)
    await cp(path.join(ROOT, part), path.join(copy, part), { recursive: true });
  await symlink(path.join(ROOT, 'node_modules'), path.join(copy, 'node_modules'));
});

afterAll(async () => {
  await rm(copy, { recursive: true, force: true });
});

async function statusAt(url: string): Promise<string> {
  const answer = await fetch(`${url}/health`);
  return ((await answer.json()) as { readonly status: string }).status;
}

it('dev restarts the server as files change, survives a compile error, and ends all', async () => {
  const dev = spawn(
    process.execPath,
    ['tools/setup/dev.mjs', '--port', '0', '--data-dir', path.join(copy, 'data')],
    { cwd: copy, stdio: ['ignore', 'pipe', 'pipe'] },
  );
  const ended = once(dev, 'exit');
  let said = '';
  for (const output of [dev.stdout, dev.stderr])
    output.on('data', (data: Buffer) => (said += data.toString()));
  const urls = (): string[] =>
    [...said.matchAll(/"listening":"([^"]+)"/g)].map(([, url]) => url ?? '');
  const file = path.join(copy, 'libs/runtime/src/health/health.controller.ts');
  const source = await readFile(file, 'utf8');
  try {
    await expect.poll(() => urls().length, PATIENT).toBe(1);
    expect(said).toContain('[dev] The server is rebuilt and restarted as files change');
    expect(await statusAt(urls()[0] ?? '')).toBe('ok');

    await writeFile(file, source.replace(`'ok', sbp_version`, `'changed', sbp_version`));
    await expect.poll(() => urls().length, PATIENT).toBe(2);
    expect(await statusAt(urls()[1] ?? '')).toBe('changed');
    await expect(fetch(urls()[0] ?? '')).rejects.toThrow();

    await writeFile(file, `${source}const wrong: number = 'text';\n`);
    await expect.poll(() => said, PATIENT).toContain('The last good build runs on');
    expect(said).toMatch(/health\.controller\.ts.* error TS2322/);
    expect(await statusAt(urls()[1] ?? '')).toBe('changed');

    await writeFile(file, source);
    await expect.poll(() => urls().length, PATIENT).toBe(3);
    expect(await statusAt(urls()[2] ?? '')).toBe('ok');

    dev.kill('SIGINT');
    expect(await ended).toEqual([0, null]);
    await expect(fetch(urls()[2] ?? '')).rejects.toThrow();
  } finally {
    dev.kill('SIGTERM');
    await ended;
  }
}, 600_000);
