import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import type { Answer } from './clients/agent.js';
import { Agent } from './clients/agent.js';
import { Surface } from './clients/surface.js';
import { rebuildableEmbedded } from './rebuild/embedded.js';
import type { Rebuildable } from './rebuild/rebuildable.js';
import { rebuildableStack } from './rebuild/stack.js';

const SECRET = 'what-a-person-wrote';
const WAIT = { timeout: 60_000, interval: 50 };

/** An event of a version that is to come. */
function fromTheFuture(sessionId: string): string {
  return JSON.stringify({
    id: randomUUID(),
    type: 'session.starred',
    schema: 1,
    session_id: sessionId,
    occurred_at: new Date().toISOString(),
    by: { principal: null, via: 'system' },
    data: {},
    content: { note: SECRET },
  });
}

/** `isEmbedded`: the log has one writer, and commands need it to themselves. */
describe.each([
  { topology: 'embedded', isEmbedded: true, prepare: rebuildableEmbedded },
  {
    topology: 'stack',
    isEmbedded: false,
    // Of one partition, so that all sessions are in it.
    prepare: () => rebuildableStack({ SBP_KAFKA_PARTITIONS: '1' }),
  },
])('$topology: a record that cannot be folded', ({ isEmbedded, prepare }) => {
  let installation: Rebuildable;

  beforeAll(async () => {
    installation = await prepare();
  });
  afterAll(async () => {
    await installation.stop();
    await installation.remove();
  });

  function expectQuarantined({ status, headers, json }: Answer): void {
    expect(json).toMatchObject({
      error: {
        code: 'SBP_UPSTREAM_UNAVAILABLE',
        message: expect.stringMatching(/quarantined.*operator/) as string,
      },
    });
    expect(status).toBe(503);
    expect(headers.get('retry-after')).toBe('60');
  }

  it('keeps its session from being served and no other one, and operators see why [A12] [SBP-ERR-10]', async () => {
    let url = await installation.start();
    const [sick, well, other] = [new Agent(url), new Agent(url), new Agent(url)];
    const { sbp } = await sick.turn('One.');
    const { sbp: beside } = await well.turn('One.');
    const id = sbp.session_id;
    const attached = await Surface.attach(url, sbp);
    const never = randomUUID();

    if (isEmbedded) await installation.stop();
    await installation.write(id, fromTheFuture(id));
    await installation.write(never, '{');
    if (isEmbedded) url = await installation.start();

    const agent = sick.at(url);
    await vi.waitFor(
      async () => expect((await agent.get(`sessions/${id}`)).status).toBe(503),
      WAIT,
    );
    if (!isEmbedded) expect(await attached.closed).toBe(1013);
    expectQuarantined(await agent.get(`sessions/${id}`));
    expectQuarantined(await agent.get(`sessions/${id}/messages`));
    expectQuarantined(await agent.get(`sessions/${never}`));
    const messages = [{ role: 'user', content: 'Two.' }];
    const body = { model: 'demo', messages };
    expectQuarantined(await agent.post({ ...body, sbp: {} }));
    expectQuarantined(await other.at(url).post({ ...body, sbp: { session_id: id } }));
    expectQuarantined(
      await agent.post({ ...body, sbp: { session_id: id, on_conflict: 'interrupt' } }),
    );
    expectQuarantined(await agent.export(id));
    expectQuarantined(await agent.send(`sessions/${id}/fork`, {}));
    expectQuarantined(await agent.patch(id, 'suspended'));
    const back = await Surface.connect(url, id);
    back.attach(sbp);
    expect(await back.closed).toBe(1013);
    expect((await well.at(url).turn('Two.')).sbp).toMatchObject({
      session_id: beside.session_id,
      step_count: 2,
    });

    if (isEmbedded) {
      const beside = await installation.command('quarantine', 'list');
      expect([beside.code, beside.problem]).toEqual([1, expect.stringContaining('stop it first')]);
      await installation.stop();
    }
    const listed = await installation.command('quarantine', 'list');
    expect(listed.out).toContain('2 quarantined');
    expect(listed.out).toMatch(new RegExp(`${id} .*\\n.*unknown_type: session.starred, schema 1`));
    const shown = await installation.command('quarantine', 'show', id);
    expect(shown.out).toContain('session.starred');
    expect(shown.out).not.toContain(SECRET);
    const whole = await installation.command('quarantine', 'show', id, '--content', '--json');
    const [first] = whole.out
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as object);
    expect(first).toMatchObject({
      reason: 'unknown_type',
      value: expect.stringContaining(SECRET) as string,
    });
    const retried = await installation.command('quarantine', 'retry', '--all');
    expect([retried.code, retried.out.match(/stays quarantined/g)]).toEqual([
      1,
      ['stays quarantined', 'stays quarantined'],
    ]);
    const report = isEmbedded ? await installation.command('log', id) : null;
    if (report !== null) expect(report.out).toContain('QUARANTINED');

    if (!isEmbedded) await installation.stop();
    const held = async () => [
      await installation.rows('quarantined_sessions'),
      await installation.rows('quarantined_events'),
      await installation.rows('turns'),
    ];
    const before = (await held()).map((rows) => rows.map((row) => JSON.stringify(row)).sort());
    await installation.rebuild();
    const after = (await held()).map((rows) => rows.map((row) => JSON.stringify(row)).sort());
    expect(after).toEqual(before);

    // As a version would that knows the event, and may pass it over.
    await installation.execute(`UPDATE quarantined_events SET event_type = 'session.starred',
      value = '{"type":"session.starred","schema":1,"optional":true}'
      WHERE session_id = '${id}' AND reason <> 'behind'`);
    const again = sick.at(await installation.start());
    await vi.waitFor(
      async () => expect((await again.get(`sessions/${id}`)).status).toBe(200),
      WAIT,
    );
    expect((await again.turn('Two.')).sbp).toMatchObject({ session_id: id, step_count: 2 });
    expectQuarantined(await again.get(`sessions/${never}`));
  });
});
