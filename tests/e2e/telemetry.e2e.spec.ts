import { randomBytes, randomUUID } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { METRICS } from '#libs/telemetry';
import { startStack } from '../../tools/stack/index.js';
import { guardFolder } from '../../tools/supervise/index.js';
import { Agent, request } from './clients/agent.js';
import { SpanCollector } from './clients/span-collector.js';
import { Surface } from './clients/surface.js';
import { eventually } from './clients/waiting.js';
import { startEmbedded } from './topology/embedded.js';
import { sharedStack } from './topology/stack.js';

/** A server that sends its spans to a collector. */
interface Traced {
  readonly url: string;
  /** The addresses of its processes, each with the name of its service. */
  readonly processes: readonly (readonly [service: string, url: string])[];
  readonly stop: () => Promise<void>;
}

const ALL_TRACES = { SBP_TRACE_PERCENT: '100' };

async function embedded(SBP_OTLP_URL: string): Promise<Traced> {
  const { url, stop } = await startEmbedded({ SBP_OTLP_URL, ...ALL_TRACES });
  return { url, stop, processes: [['sbp-server', url]] };
}

/** No more processes than a turn needs. */
async function services(SBP_OTLP_URL: string): Promise<Traced> {
  const dataDir = await mkdtemp(path.join(tmpdir(), 'statebridge-telemetry-'));
  guardFolder(dataDir);
  const shared = sharedStack(dataDir, `e2e-${randomUUID()}`);
  const replicas = { completions: 1, gateway: 1, sessions: 1, roaming: 0, audit: 0, analytics: 0 };
  const stack = await startStack({
    ...shared,
    env: { ...shared.env, SBP_OTLP_URL, ...ALL_TRACES },
    replicas,
  });
  return {
    url: stack.url,
    processes: stack.services.map(({ kind, url }) => [kind, url] as const),
    stop: async () => {
      await stack.stop();
      await rm(dataDir, { recursive: true, force: true });
    },
  };
}

describe.each([
  ['embedded', embedded],
  ['as services', services],
])('%s', (topology, start) => {
  let collector: SpanCollector;
  let server: Traced;

  beforeAll(async () => {
    collector = await SpanCollector.start();
    server = await start(collector.url);
  });
  afterAll(async () => {
    await server.stop();
    await collector.stop();
  });

  // [SBP-OPS-21]
  it('one trace leads from a request over the model and the log to the fold', async () => {
    const traceId = randomBytes(16).toString('hex');
    const caller = randomBytes(8).toString('hex');
    const secret = `secret-${randomUUID()}`;
    const agent = new Agent(server.url);
    const headers = { traceparent: `00-${traceId}-${caller}-01` };
    const { sbp, completion } = await agent.turn(`Keep this: ${secret}`, {}, { headers });
    const ofTrace = () => collector.spans.filter((span) => span.traceId === traceId);
    const named = (name: string) => ofTrace().find((span) => span.name === name);
    await eventually(() => {
      const fold = named('fold turn.completed');
      expect(fold && collector.pathOf(fold)).toEqual([
        'fold turn.completed',
        'log append',
        'turn end',
        'turn',
        'POST /v1/chat/completions',
      ]);
      expect(named('POST /v1/chat/completions')?.parentSpanId).toBe(caller);
      for (const name of ['turn admit', 'turn start', 'model round']) {
        expect(named(name), name).toBeDefined();
      }
    });
    const isEmbedded = topology === 'embedded';
    const nameOf = (service: string) => `statebridge-${isEmbedded ? 'sbp-server' : service}`;
    expect(named('turn')?.service).toBe(nameOf('completions'));
    expect(named('fold turn.completed')?.service).toBe(nameOf('sessions'));
    const { session_id, session_token } = sbp;
    const surface = await Surface.attach(server.url, { session_id, session_token });
    await surface.detach();
    await eventually(() => {
      const drain = collector.spans.find(({ name }) => name === 'drain');
      const attach = collector.spans.find(({ name }) => name === 'attach');
      expect([drain?.service, attach?.service]).toEqual([nameOf('gateway'), nameOf('gateway')]);
    });
    expect(collector.sent).not.toContain(secret);
    const said = completion.choices[0]?.message.content ?? '';
    expect(said.length).toBeGreaterThan(10);
    expect(collector.sent).not.toContain(said.slice(0, 20));
  });

  // [SBP-OPS-22]
  it('each process shows the metrics of what it does', async () => {
    await new Agent(server.url).turn('Count this.');
    const shown = new Set<string>();
    for (const [, url] of server.processes) {
      const { status, text, headers } = await request(`${url}/metrics`);
      expect(status).toBe(200);
      expect(headers.get('content-type')).toMatch(/^text\/plain; version=0\.0\.4/);
      for (const [, name = ''] of text.matchAll(/^# TYPE (\S+) /gm)) shown.add(name);
      expect(text).toContain('sbp_ready 1');
    }
    expect([...shown].sort()).toEqual(Object.keys(METRICS).sort());
    const [, completions = ''] =
      server.processes.find(([service]) => /^(completions|sbp-server)$/.test(service)) ?? [];
    const { text } = await request(`${completions}/metrics`);
    expect(text).toMatch(/^sbp_turns_total\{status="completed",entry="at-once"\} [1-9]/m);
    expect(text).toMatch(
      /^sbp_http_requests_total\{route="\/v1\/chat\/completions",method="POST",status="2xx"\} [1-9]/m,
    );
    expect(text).toMatch(/^sbp_log_append_duration_seconds_count [1-9]/m);
  });

  // [SBP-OPS-22]
  it('a process shows how far each consumer that it runs is behind, in every partition', async () => {
    const consumersOf: Readonly<Record<string, readonly string[]>> = {
      'sbp-server': ['projector', 'audit', 'analytics'],
      sessions: ['projector'],
    };
    for (const [service, url] of server.processes) {
      const { text } = await request(`${url}/metrics`);
      const shown = text.matchAll(
        /^sbp_consumer_lag_records\{consumer="(\w+)",partition="\d+"\} /gm,
      );
      const counted = new Map<string, number>();
      for (const [, consumer = ''] of shown)
        counted.set(consumer, (counted.get(consumer) ?? 0) + 1);
      const wanted = consumersOf[service] ?? [];
      expect([service, [...counted.keys()].sort()]).toEqual([service, wanted.toSorted()]);
      expect(new Set(counted.values()).size).toBe(wanted.length === 0 ? 0 : 1);
    }
  });
});
