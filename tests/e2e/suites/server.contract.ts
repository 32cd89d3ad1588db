import { afterAll, beforeAll, describe } from 'vitest';
import type { GetServer, Server } from '../topology/server.js';
import { acknowledgements } from './acknowledgements.contract.js';
import { attaching } from './attaching.contract.js';
import { badRequests } from './bad-requests.contract.js';
import { browser } from './browser.contract.js';
import { consumers } from './consumers.contract.js';
import { exporting } from './exporting.contract.js';
import { frameNames } from './frame-names.contract.js';
import { frameRules } from './frame-rules.contract.js';
import { gettingStarted } from './getting-started.contract.js';
import { healthAndOrigins } from './health-and-origins.contract.js';
import { life } from './life.contract.js';
import { liveOutput } from './live-output.contract.js';
import { openaiClient } from './openai-client.contract.js';
import { readingOn } from './reading-on.contract.js';
import { pages } from './pages.contract.js';
import { probes } from './probes.contract.js';
import { readingSessions } from './reading-sessions.contract.js';
import { snapshots } from './snapshots.contract.js';
import { roaming } from './roaming.contract.js';
import { roamingTokens } from './roaming-tokens.contract.js';
import { sessionResolution } from './session-resolution.contract.js';
import { queueing } from './queue.contract.js';
import { repeating } from './repeating.contract.js';
import { stopping } from './stopping.contract.js';
import { streaming } from './streaming.contract.js';
import { takeovers } from './takeovers.contract.js';
import { theTether } from './tether.contract.js';
import { transcripts } from './transcripts.contract.js';
import { upstreamFailures } from './upstream-failures.contract.js';

/**
 * The wire contract, as one running installation keeps it: the same tests whatever it is made of.
 */
export function describeServer(topology: string, start: () => Promise<Server>): void {
  // Each test has an agent and sessions of its own, so they meet nowhere.
  describe.concurrent(`${topology}:`, () => {
    let server: Server | undefined;
    beforeAll(async () => {
      server = await start();
    });
    afterAll(async () => {
      await server?.stop();
    });
    const running: GetServer = () => {
      if (server === undefined) throw new Error('the server does not run');
      return server;
    };
    gettingStarted(running);
    openaiClient(running);
    sessionResolution(running);
    transcripts(running);
    streaming(running);
    upstreamFailures(running);
    badRequests(running);
    attaching(running);
    theTether(running);
    acknowledgements(running);
    liveOutput(running);
    takeovers(running);
    frameRules(running);
    frameNames(running);
    readingSessions(running);
    snapshots(running);
    life(running);
    exporting(running);
    roaming(running);
    roamingTokens(running);
    queueing(running);
    repeating(running);
    stopping(running);
    readingOn(running);
    healthAndOrigins(running);
    pages(running);
    browser(running);
    probes(running);
    consumers(running);
  });
}
