import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { chown, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { promisify } from 'node:util';
import { Client } from 'pg';
import { SupervisedProcess } from '../supervise/index.js';
import { freePort } from './free-port.js';
import { postgresBinaries } from './postgres-binaries.js';
import type { PostgresBinaries } from './postgres-binaries.js';
import { unprivileged } from './unprivileged.js';
import type { Unprivileged } from './unprivileged.js';

const run = promisify(execFile);

export interface PostgresOptions {
  /**
   * The server keeps its data and its port here: a later start on the same folder is the same
   * server.
   */
  readonly dataDir: string;
  readonly logDir?: string;
  /** Do not wait for the disk: only where nobody needs the data after the server was killed. */
  readonly unsafe?: boolean;
  /** Start it again if it ended on its own. */
  readonly restart?: boolean;
}

export interface Postgres {
  /**
   * The administrator's address, with the database `postgres`. The server trusts everybody on
   * loopback.
   */
  readonly url: string;
  readonly process: SupervisedProcess;
  /** `discard` kills the server at once: for data that nobody will read again. */
  stop(options?: { readonly discard?: boolean }): Promise<void>;
}

/** Starts a real Postgres on 127.0.0.1, also as root, and resolves when it answers a query. */
export async function startPostgres(options: PostgresOptions): Promise<Postgres> {
  const dataDir = path.resolve(options.dataDir);
  const binaries = await postgresBinaries();
  await mkdir(dataDir, { recursive: true });
  const cluster = path.join(dataDir, 'cluster');
  const user = unprivileged([binaries.postgres, cluster]);
  await initialise(binaries, cluster, user, options);
  const url = `postgres://postgres@127.0.0.1:${await portOf(dataDir)}/postgres`;
  const server = new SupervisedProcess(
    serverProcess(binaries, dataDir, cluster, url, user, options),
  );
  await server.start();
  return { url, process: server, stop: (stopOptions) => server.stop(stopOptions) };
}

async function portOf(dataDir: string): Promise<number> {
  const file = path.join(dataDir, 'port');
  if (existsSync(file)) return Number(await readFile(file, 'utf8'));
  const port = await freePort();
  await writeFile(file, String(port));
  return port;
}

async function initialise(
  binaries: PostgresBinaries,
  cluster: string,
  { user, prefix }: Unprivileged,
  options: PostgresOptions,
): Promise<void> {
  const done = path.join(path.dirname(cluster), 'initialised');
  if (existsSync(done)) return;
  // Without the mark an earlier start was broken off half-way.
  await rm(cluster, { recursive: true, force: true });
  await mkdir(cluster);
  if (user !== undefined) await chown(cluster, user.uid, user.gid);
  const [command, ...args] = [
    ...prefix,
    binaries.initdb,
    `--pgdata=${cluster}`,
    '--username=postgres',
    '--auth=trust',
    '--encoding=UTF8',
    '--locale=C',
    '--no-instructions',
    ...(options.unsafe === true ? ['--no-sync'] : []),
  ];
  await run(command ?? '', args, { ...(prefix.length === 0 ? user : {}), cwd: '/' });
  await writeFile(done, '');
}

function serverProcess(
  binaries: PostgresBinaries,
  dataDir: string,
  cluster: string,
  url: string,
  { user, prefix }: Unprivileged,
  options: PostgresOptions,
): SupervisedProcess['spec'] {
  const settings = {
    listen_addresses: '127.0.0.1',
    port: new URL(url).port,
    unix_socket_directories: '',
    max_connections: '300',
    shared_buffers: '64MB',
    ...(options.unsafe === true
      ? { fsync: 'off', synchronous_commit: 'off', full_page_writes: 'off' }
      : {}),
  };
  const [command, ...args] = [
    ...prefix,
    binaries.postgres,
    '-D',
    cluster,
    ...Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`]),
  ];
  return {
    name: 'postgres',
    launch: () => ({
      command: command ?? '',
      args,
      cwd: '/',
      ...(prefix.length === 0 ? user : {}),
    }),
    ready: async ({ signal }) => {
      await answers(url, signal);
      return url;
    },
    logFile: path.join(options.logDir ?? dataDir, 'postgres.log'),
    pidFile: path.join(dataDir, 'pid.json'),
    // Fast shutdown: sessions are ended, the data is written.
    stopSignal: 'SIGINT',
    stopTimeoutMs: 10_000,
    readyTimeoutMs: 60_000,
    restart: options.restart ?? false,
  };
}

async function answers(url: string, signal: AbortSignal): Promise<void> {
  for (;;) {
    signal.throwIfAborted();
    const client = new Client({ connectionString: url, connectionTimeoutMillis: 1000 });
    client.on('error', () => undefined);
    try {
      await client.connect();
      await client.query('SELECT 1');
      return;
    } catch {
      await delay(50, undefined, { signal });
    } finally {
      await client.end().catch(() => undefined);
    }
  }
}

/** Makes a database on the server of `adminUrl` unless it is there, and returns its address. */
export async function createDatabase(adminUrl: string, name: string): Promise<string> {
  const client = new Client({ connectionString: adminUrl });
  await client.connect();
  try {
    const { rowCount } = await client.query('SELECT 1 FROM pg_database WHERE datname = $1', [name]);
    if (rowCount === 0) await client.query(`CREATE DATABASE ${client.escapeIdentifier(name)}`);
  } finally {
    await client.end();
  }
  const url = new URL(adminUrl);
  url.pathname = `/${name}`;
  return url.href;
}
