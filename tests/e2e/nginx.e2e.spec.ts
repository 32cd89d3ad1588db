import { afterAll, beforeAll, describe } from 'vitest';
import type { ServiceName } from '#libs/protocol';
import { SERVICES } from '#libs/protocol';
import { freePort } from '../../tools/infrastructure/index.js';
import { attaching } from './suites/attaching.contract.js';
import { badRequests } from './suites/bad-requests.contract.js';
import { exporting } from './suites/exporting.contract.js';
import { gettingStarted } from './suites/getting-started.contract.js';
import { liveOutput } from './suites/live-output.contract.js';
import { streaming } from './suites/streaming.contract.js';
import { theTether } from './suites/tether.contract.js';
import { startNginx } from './topology/nginx.js';
import type { Nginx } from './topology/nginx.js';
import type { GetServer, Server } from './topology/server.js';
import { startServices } from './topology/stack.js';

/** What of the wire contract a front could spoil: streams, WebSockets, bodies, addresses. */
describe.concurrent('services behind nginx:', () => {
  let services: Server | undefined;
  let nginx: Nginx | undefined;

  beforeAll(async () => {
    const port = await freePort();
    services = await startServices({ SBP_PUBLIC_URL: `http://localhost:${port}` });
    const { replicas } = services;
    const addresses = Object.fromEntries(
      SERVICES.map((service) => [
        service,
        Object.values(replicas(service)).map((url) => new URL(url).host),
      ]),
    ) as Record<ServiceName, string[]>;
    nginx = await startNginx(addresses, port);
  });

  afterAll(async () => {
    await nginx?.stop();
    await services?.stop();
  });

  const running: GetServer = () => {
    if (services === undefined || nginx === undefined) throw new Error('the server does not run');
    return { ...services, url: nginx.url };
  };
  gettingStarted(running);
  streaming(running);
  badRequests(running);
  attaching(running);
  theTether(running);
  liveOutput(running);
  exporting(running);
});
