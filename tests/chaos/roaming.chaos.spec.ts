import { randomBytes, randomUUID } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { KNOWN_EVERYWHERE_MS, SigningKeys } from '#libs/auth';
import {
  ExportResponse,
  ForkResponse,
  HandoffResponse,
  ImportResponse,
  LineageResponse,
  MessagesResponse,
  SbpResponse,
  SessionsResponse,
  TokenInspection,
} from '#libs/protocol';
import type { RoamingStep, Topology } from '../../tools/chaos/index.js';
import { ROAMING_STEPS, arm, startEmbedded, startServices } from '../../tools/chaos/index.js';
import { freePort } from '../../tools/infrastructure/index.js';
import type { SupervisedProcess } from '../../tools/supervise/index.js';

/*
 * Two servers that trust each other's keys, an embedded one and a stack. What is done to two
 * sessions is done once for each step at which a process of one of them dies: afterwards all of it
 * has happened, or none, and a token is usable exactly if it was not used.
 */

const PATIENCE_MS = 60_000;
/** How long an append has been on its way when its process dies, in ms. */
const SENT_FOR_MS = [0, 2] as const;

let folder: string;
let embedded: Topology;
let stack: Topology;
let kills = 0;

beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'statebridge-roaming-chaos-'));
  const [here, there] = [await freePort(), await freePort()];
  const issuers = [`http://127.0.0.1:${here}`, `http://localhost:${there}`];
  const settings = async (name: string): Promise<NodeJS.ProcessEnv> => {
    const file = path.join(folder, `${name}.json`);
    await new SigningKeys(file).rotate('EdDSA', new Date(Date.now() - 2 * KNOWN_EVERYWHERE_MS));
    return {
      SBP_JWT_SECRET: randomBytes(32).toString('hex'),
      SBP_KEY_FILE: file,
      SBP_TRUSTED_ISSUERS: issuers.join(','),
    };
  };
  const own = { ...(await settings('embedded')), SBP_PUBLIC_URL: issuers[0] };
  embedded = await startEmbedded(path.join(folder, 'embedded'), own, here);
  const infrastructure = {
    kafkaBrokers: inject('SBP_TEST_KAFKA_BROKERS'),
    postgresUrl: inject('SBP_TEST_POSTGRES_URL'),
  };
  const dataDir = path.join(folder, `stack-${randomUUID().slice(0, 8)}`);
  stack = await startServices(dataDir, infrastructure, await settings('stack'), there);
}, 240_000);

afterAll(async () => {
  expect([...embedded.crashes, ...stack.crashes]).toEqual([]);
  await embedded.stop();
  await stack.stop();
  await rm(folder, { recursive: true, force: true, maxRetries: 10 });
}, 60_000);

interface Asked {
  readonly method?: 'GET' | 'POST';
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: object;
}

/** Asks until the server answers anything but that it cannot now. */
async function ask(server: Topology, where: string, { method, headers, body }: Asked = {}) {
  const deadline = Date.now() + PATIENCE_MS;
  for (;;) {
    try {
      const response = await fetch(`${server.url}/v1/${where}`, {
        method: method ?? (body === undefined ? 'GET' : 'POST'),
        headers: { 'content-type': 'application/json', ...headers },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
        signal: AbortSignal.timeout(PATIENCE_MS),
      });
      const json: unknown = await response.json();
      if (response.status < 500) return { status: response.status, json };
    } catch {
      // It is down for a moment.
    }
    if (Date.now() > deadline) throw new Error(`${where} was not answered for a minute`);
    await delay(100);
  }
}

async function turn(server: Topology, agent: string, sbp: object, content = 'Hello.') {
  const { status, json } = await ask(server, 'chat/completions', {
    headers: { 'x-agent-id': agent, 'idempotency-key': randomUUID() },
    body: { model: 'm', messages: [{ role: 'user', content }], sbp },
  });
  expect(status).toBe(200);
  return SbpResponse.parse((json as { sbp: unknown }).sbp);
}

async function said(server: Topology, id: string): Promise<readonly string[]> {
  const { json } = await ask(server, `sbp/sessions/${id}/messages`);
  return MessagesResponse.parse(json)
    .messages.filter(({ role }) => role !== 'system')
    .map(({ role, ...message }) => `${role}: ${String(message['content'])}`);
}

async function sessionsOf(server: Topology, agent: string): Promise<readonly string[]> {
  const { json } = await ask(server, `sbp/sessions?agent_id=${agent}`);
  return SessionsResponse.parse(json).sessions.map(({ session_id }) => session_id);
}

async function export1(server: Topology, id: string): Promise<string> {
  const { json } = await ask(server, `sbp/sessions/${id}/export`, { body: {} });
  return ExportResponse.parse(json).roaming_token;
}

async function isUsed(server: Topology, token: string): Promise<boolean> {
  const { status, json } = await ask(server, `sbp/token/${token}`);
  expect(status).toBe(200);
  return TokenInspection.parse(json).consumed;
}

/** Of a server, the processes that do what is done to two sessions. */
function roamers(server: Topology): readonly SupervisedProcess[] {
  return server.victims.filter(({ name }) => /^(roaming|sbp-server)/.test(name));
}

/** One of the processes dies at a step, while something is done. */
async function dyingAt<T>(
  victims: readonly SupervisedProcess[],
  step: RoamingStep,
  afterMs: number,
  work: () => Promise<T>,
): Promise<T> {
  for (const victim of victims) await untilReady(victim);
  const died = Promise.withResolvers<string>();
  const onExit = (exit: { readonly name: string }): void => died.resolve(exit.name);
  for (const victim of victims) victim.events.on('exit', onExit);
  for (const victim of victims) arm(victim, { arm: step, afterMs });
  try {
    const [done] = await Promise.all([work(), within(died.promise)]);
    kills += 1;
    return done;
  } finally {
    for (const victim of victims) {
      victim.events.off('exit', onExit);
      arm(victim, { arm: null, afterMs: 0 });
    }
  }
}

async function untilReady(victim: SupervisedProcess): Promise<void> {
  while (!victim.isReady) await delay(50);
}

async function within<T>(promise: Promise<T>): Promise<T> {
  const late = delay(PATIENCE_MS, null, { ref: false });
  const first = await Promise.race([promise, late]);
  if (first === null) throw new Error('nothing died');
  return first;
}

const keyed = (body: object): Asked => ({ body, headers: { 'idempotency-key': randomUUID() } });

const sent = (step: RoamingStep) => SENT_FOR_MS.map((afterMs) => [step, afterMs] as const);
const at = (step: RoamingStep) => [[step, 0]] as const;

describe('the stack, while it makes a session from another', () => {
  // [SBP-L3-24] [SBP-L3-40]
  it.each([...sent('G3'), ...at('G4')])('forks, and dies at %s after %i ms', async (step, ms) => {
    const agent = randomUUID();
    const { session_id: id } = await turn(stack, agent, {});
    const order = keyed({ label: 'fork' });
    const path = `sbp/sessions/${id}/fork`;
    const { json } = await dyingAt(roamers(stack), step, ms, () => ask(stack, path, order));
    const { fork_session_id: fork } = ForkResponse.parse(json);
    expect(await said(stack, fork)).toEqual(await said(stack, id));
    const again = ForkResponse.parse((await ask(stack, path, order)).json);
    expect(again.fork_session_id).toBe(fork);
    expect([...(await sessionsOf(stack, agent))].sort()).toEqual([id, fork].sort());
    expect((await turn(stack, agent, { session_id: fork })).step_count).toBe(2);
  });

  // [SBP-L3-30] [SBP-L3-31]
  it.each([...sent('G1'), ...at('G2'), ...sent('G3'), ...at('G4')])(
    'hands over, and dies at %s after %i ms',
    async (step, ms) => {
      const [agent, other] = [randomUUID(), randomUUID()];
      const { session_id: id } = await turn(stack, agent, {});
      const order = keyed({ to_agent_id: other });
      const path = `sbp/sessions/${id}/handoff`;
      const { json } = await dyingAt(roamers(stack), step, ms, () => ask(stack, path, order));
      const { new_session_id: next } = HandoffResponse.parse(json);
      const { json: source } = await ask(stack, `sbp/sessions/${id}`);
      expect(source).toMatchObject({ status: 'suspended', status_reason: 'handoff' });
      expect(await said(stack, next)).toEqual(await said(stack, id));
      expect(await sessionsOf(stack, other)).toEqual([next]);
      const known = LineageResponse.parse((await ask(stack, `sbp/sessions/${id}/lineage`)).json);
      expect(known.outgoing_handoffs.map(({ new_session_id }) => new_session_id)).toEqual([next]);
      expect((await turn(stack, other, {})).session_id).toBe(next);
    },
  );
});

/** All processes of a kind die a moment after something was begun. */
async function dyingMeanwhile<T>(kind: string, work: () => Promise<T>): Promise<T> {
  const victims = stack.victims.filter(({ name }) => name.startsWith(kind));
  for (const victim of victims) await untilReady(victim);
  const working = work();
  await delay(15);
  for (const victim of victims) victim.kill('SIGKILL');
  kills += victims.length;
  return working;
}

/** Imports at one server what another has, or the same, while something dies. */
async function importing(
  [from, to]: readonly [Topology, Topology],
  dying: <T>(work: () => Promise<T>) => Promise<T>,
): Promise<void> {
  const [agent, target] = [randomUUID(), randomUUID()];
  const { session_id: id } = await turn(from, agent, {});
  const token = await export1(from, id);
  const order = keyed({ roaming_token: token, target_agent_id: target });
  const { json, status } = await dying(() => ask(to, 'sbp/sessions/import', order));
  expect(status).toBe(201);
  const { session_id: next } = ImportResponse.parse(json);
  expect(await said(to, next)).toEqual(await said(from, id));
  expect(await isUsed(from, token)).toBe(true);
  const again = await ask(to, 'sbp/sessions/import', order);
  expect(ImportResponse.parse(again.json).session_id).toBe(next);
  const other = await ask(to, 'sbp/sessions/import', { body: { roaming_token: token } });
  expect(other.status).toBe(410);
  expect(await sessionsOf(to, target)).toEqual([next]);
  expect((await turn(to, target, {})).session_id).toBe(next);
}

/** As `importing`, by somebody who asks once, and does not hear what came of it. */
async function importedBlindly(
  [from, to]: readonly [Topology, Topology],
  [dying, step, ms]: readonly [Topology, RoamingStep, number],
): Promise<void> {
  const [agent, target] = [randomUUID(), randomUUID()];
  const { session_id: id } = await turn(from, agent, {});
  const token = await export1(from, id);
  await dyingAt(roamers(dying), step, ms, () =>
    fetch(`${to.url}/v1/sbp/sessions/import`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ roaming_token: token, target_agent_id: target }),
    }).catch(() => null),
  );
  // Whoever finds what is left finishes it, or nothing of it is left.
  const deadline = Date.now() + PATIENCE_MS;
  for (;;) {
    const [used, found] = [await isUsed(from, token), await sessionsOf(to, target)];
    if (used && found.length === 1) return;
    const late = Date.now() > deadline;
    if (late) expect({ used, found }).toEqual({ used: true, found: [expect.any(String)] });
    // Where nothing was recorded the token is as good as new.
    if (!used && found.length === 0 && step === 'G7') break;
    await delay(200);
  }
  const { status } = await ask(to, 'sbp/sessions/import', { body: { roaming_token: token } });
  expect(status).toBe(201);
}

describe('an import on the stack', () => {
  // [SBP-L3-21]
  it.each([...sent('G5'), ...at('G6'), ...at('G7'), ...at('G3'), ...at('G4')])(
    'happens once, where a process dies at %s after %i ms',
    (step, ms) => importing([stack, stack], (work) => dyingAt(roamers(stack), step, ms, work)),
  );
});

describe.each([
  ['embedded', 'stack', () => [embedded, stack] as const],
  ['stack', 'embedded', () => [stack, embedded] as const],
] as const)('an import from %s to %s', (_from, _to, sites) => {
  // [SBP-L6-05]
  it.each([...at('G7'), ...sent('G8'), ...at('G9'), ...at('G3'), ...at('G4')])(
    'happens once, where the importer dies at %s after %i ms',
    (step, ms) => importing(sites(), (work) => dyingAt(roamers(sites()[1]), step, ms, work)),
  );

  // [SBP-L6-05]
  it.each(['sessions', 'completions', 'gateway', 'roaming'])(
    'happens once, where all processes of %s die meanwhile',
    (kind) => importing(sites(), (work) => dyingMeanwhile(kind, work)),
  );

  // [SBP-L6-05]
  it.each([...sent('G5'), ...at('G6')])(
    'happens once, where the exporter dies at %s after %i ms',
    (step, ms) => importing(sites(), (work) => dyingAt(roamers(sites()[0]), step, ms, work)),
  );

  // [SBP-L6-05]
  it.each([...at('G7'), ...at('G9'), ...at('G3')])(
    'happens or does not, where nobody asks again, and the importer dies at %s after %i ms',
    (step, ms) => importedBlindly(sites(), [sites()[1], step, ms]),
  );
});

describe('in all', () => {
  it('processes were killed at every step, and often', () => {
    expect(Object.keys(ROAMING_STEPS)).toHaveLength(9);
    expect(kills).toBeGreaterThanOrEqual(36);
  });
});
