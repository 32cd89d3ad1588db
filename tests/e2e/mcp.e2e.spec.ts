import { afterAll, beforeAll, describe } from 'vitest';
import { mcp } from './suites/mcp.contract.js';
import { startEmbedded } from './topology/embedded.js';
import type { Server } from './topology/server.js';
import { startServices } from './topology/stack.js';

describe.each([
  ['embedded', startEmbedded],
  ['services', startServices],
])('clients of MCP on %s', (_name, start) => {
  let server: Server;

  beforeAll(async () => {
    server = await start();
  });
  afterAll(() => server.stop());

  mcp(() => server);
});
