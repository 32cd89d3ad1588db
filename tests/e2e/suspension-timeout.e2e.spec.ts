import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Agent } from './clients/agent.js';
import { Surface } from './clients/surface.js';
import { eventually } from './clients/waiting.js';
import { startEmbedded } from './topology/embedded.js';
import type { Server } from './topology/server.js';
import { startServices } from './topology/stack.js';

describe.each([
  ['embedded', startEmbedded],
  ['services', startServices],
] as const)('sessions that stay suspended for longer than one second, on %s', (_name, start) => {
  let server: Server;
  beforeAll(async () => {
    server = await start({ SBP_SUSPENDED_TIMEOUT_S: '1' });
  });
  afterAll(() => server.stop());

  // [SBP-L2-67]
  it('fail where a PATCH suspended them, and only there', async () => {
    const { url } = server;
    const { second } = server.replicas('sessions');
    const gone = new Agent(url);
    const { sbp: key } = await gone.turn('My device goes away.');
    const surface = await Surface.attach(url, key);
    await surface.drop();
    await eventually(async () => {
      const { status_reason } = await gone.session(key.session_id);
      expect(status_reason).toBe('surface_gone');
    });
    const handed = new Agent(url);
    const { sbp: source } = await handed.turn('Another agent goes on.');
    await handed.send(`sessions/${source.session_id}/handoff`, { to_agent_id: 'another' });
    const agent = new Agent(url);
    const { sbp } = await agent.turn('I come back later.');
    await agent.patch(sbp.session_id, 'suspended');

    const elsewhere = agent.at(second);
    await eventually(async () => {
      const { status, status_reason } = await elsewhere.session(sbp.session_id);
      expect([status, status_reason]).toEqual(['failed', null]);
    });
    const shown = [await gone.session(key.session_id), await handed.session(source.session_id)].map(
      ({ status, status_reason }) => [status, status_reason],
    );
    expect(shown).toEqual([
      ['suspended', 'surface_gone'],
      ['suspended', 'handoff'],
    ]);
  });
});
