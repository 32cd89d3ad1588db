import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { text } from 'node:stream/consumers';
import { build } from 'vite';
import { findChromium } from '../../../tools/infrastructure/index.js';
import { RunningProgram } from './running-program.js';

const ENTRY = path.resolve(import.meta.dirname, '../browser/page.ts');
/** Without these it calls its maker's servers. */
const QUIET = [
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
  '--no-first-run',
];

/**
 * Runs one deed of the page in a Chromium of its own; gives what the page told, and throws what it
 * threw. The page comes from a port of this machine that is not the server's.
 */
export async function inBrowser(
  deed: string,
  order: Readonly<Record<string, string>>,
): Promise<unknown> {
  const chromium = await findChromium();
  const script = await bundle();
  const profile = await mkdtemp(path.join(tmpdir(), 'statebridge-chromium-'));
  const told = Promise.withResolvers<string>();
  const query = new URLSearchParams({ deed, ...order }).toString();
  const page = `<!doctype html><script type="module" src="/page.js?${query}"></script>`;
  const answer = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const { pathname } = new URL(request.url ?? '', 'http://page');
    if (pathname === '/told') told.resolve(await text(request));
    const isScript = pathname === '/page.js';
    response.setHeader('content-type', isScript ? 'text/javascript' : 'text/html; charset=utf-8');
    response.end(isScript ? script : page);
  };
  const server = createServer((request, response) => void answer(request, response));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const sandbox = process.getuid?.() === 0 ? ['--no-sandbox'] : [];
  try {
    await using browser = new RunningProgram(
      [
        `'${chromium}'`,
        ...['--headless=new', '--disable-gpu', `--user-data-dir=${profile}`],
        ...[...QUIET, ...sandbox, `http://127.0.0.1:${port}/`],
      ].join(' '),
    );
    const early = browser
      .end()
      .then((said) => Promise.reject(new Error(`Chromium ended: ${said}`)));
    const saw = JSON.parse(await Promise.race([told.promise, early])) as { error?: string };
    if (saw.error !== undefined) throw new Error(`the page failed: ${saw.error}`);
    return saw;
  } finally {
    server.closeAllConnections();
    server.close();
    await rm(profile, { recursive: true, force: true, maxRetries: 10 });
  }
}

/** The page's script in one piece, as an application's build makes it. */
async function bundle(): Promise<string> {
  const built = await build({
    configFile: false,
    logLevel: 'error',
    build: { write: false, target: 'esnext', rolldownOptions: { input: ENTRY } },
  });
  if (!('output' in built)) throw new Error('the page was not built');
  const [{ code }] = built.output;
  return code;
}
