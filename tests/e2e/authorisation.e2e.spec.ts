import { mkdtempSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe } from 'vitest';
import { ApiKeys } from '#libs/auth';
import { guardFolder } from '../../tools/supervise/index.js';
import { MOST_AT_ONCE, PRINCIPALS_SECRET, authorisation } from './suites/authorisation.contract.js';
import { startEmbedded } from './topology/embedded.js';
import type { Server } from './topology/server.js';
import { startServices } from './topology/stack.js';

describe.each([
  ['embedded', startEmbedded],
  ['services', startServices],
])('%s, where credentials are required', (_topology, start) => {
  const folder = mkdtempSync(path.join(tmpdir(), 'statebridge-authorisation-'));
  guardFolder(folder);
  const file = path.join(folder, 'api-keys.json');
  let server: Server;

  beforeAll(async () => {
    server = await start({
      SBP_AUTH: 'required',
      SBP_API_KEY_FILE: file,
      SBP_AUTH_JWT_SECRET: PRINCIPALS_SECRET,
      SBP_MAX_PRINCIPAL_TURNS: String(MOST_AT_ONCE),
    });
  });
  afterAll(async () => {
    await server.stop();
    await rm(folder, { recursive: true, force: true });
  });

  authorisation(
    () => server,
    () => new ApiKeys(file),
  );
});
