import { request as httpRequest } from 'node:http';
import type { Agent, IncomingHttpHeaders, ServerResponse } from 'node:http';
import { json } from 'node:stream/consumers';
import { HEADERS, SERVICES } from '#libs/protocol';
import type { ServiceName } from '#libs/protocol';
import { within } from '#libs/timing';
import { forwardedHeaders } from './headers.js';
import type { Passage } from './proxy-request.js';
import type { Replica } from './replicas.js';

/** A replica gives its own checks 2 s. */
const PROBE_MS = 3000;

interface Probe {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: unknown;
}

/**
 * Answers `/health/ready` for all services together: 200 when each of them has a replica that is
 * ready, else 503 with the names of those that have none. The replicas are asked with the caller's
 * own headers, so that they refuse it where it comes from a foreign page.
 */
export async function answerReadiness(
  agent: Agent,
  passage: Passage,
  response: ServerResponse,
): Promise<void> {
  const probes = await Promise.all(SERVICES.map((service) => askService(agent, passage, service)));
  const refusal = probes.find((probe) => probe !== null && probe.status !== 200);
  if (refusal !== null && refusal !== undefined) {
    answer(passage, response, refusal.status, refusal.body, refusal.headers);
    return;
  }
  const missing = SERVICES.filter((_service, index) => probes[index] === null);
  const checks = Object.fromEntries(
    SERVICES.map((service) => [service, missing.includes(service) ? 'unavailable' : 'ok']),
  );
  const headers = probes.find((probe) => probe !== null)?.headers ?? {};
  if (missing.length === 0) answer(passage, response, 200, { status: 'ok', checks }, headers);
  else answer(passage, response, 503, { status: 'unavailable', missing, checks }, headers);
}

/** The answer of one replica that is ready, or that refuses to say; null while none is ready. */
async function askService(
  agent: Agent,
  passage: Passage,
  service: ServiceName,
): Promise<Probe | null> {
  const probes = await Promise.all(
    passage.replicas.serving(service).map((replica) => ask(agent, passage, replica)),
  );
  const told = probes.filter((probe) => probe !== null && probe.status !== 503);
  return told.find((probe) => probe?.status === 200) ?? told[0] ?? null;
}

async function ask(agent: Agent, passage: Passage, replica: Replica): Promise<Probe | null> {
  const { hostname, port } = new URL(replica.url);
  const { promise, resolve } = Promise.withResolvers<Probe | null>();
  const probe = httpRequest({
    agent,
    hostname,
    port,
    path: '/health/ready',
    headers: forwardedHeaders(passage.request, passage.requestId),
  });
  probe.on('error', () => resolve(null));
  probe.once('response', (message) => {
    json(message).then(
      (body) => resolve({ status: message.statusCode ?? 0, headers: message.headers, body }),
      () => resolve(null),
    );
  });
  probe.end();
  const told = await within(promise, PROBE_MS);
  if (told !== 'late') return told;
  probe.destroy();
  return null;
}

function answer(
  { request, requestId }: Passage,
  response: ServerResponse,
  status: number,
  body: unknown,
  from: IncomingHttpHeaders,
): void {
  const text = JSON.stringify(body);
  const forPages = Object.entries(from).filter(
    ([name]) => name === 'vary' || name.startsWith('access-control-'),
  );
  response.writeHead(status, {
    ...Object.fromEntries(forPages),
    'content-type': 'application/json; charset=utf-8',
    'content-length': Buffer.byteLength(text),
    'cache-control': 'no-store',
    [HEADERS.requestId]: requestId,
    ...(status === 503 ? { 'retry-after': '1' } : {}),
  });
  response.end(request.method === 'HEAD' ? undefined : text);
}
