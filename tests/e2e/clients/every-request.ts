import { randomUUID } from 'node:crypto';
import { expect } from 'vitest';
import { ExportResponse } from '#libs/protocol';
import { deadline } from '#libs/timing';
import { Agent, request, steered } from './agent.js';
import type { Answer } from './agent.js';
import { Surface } from './surface.js';
import { eventually } from './waiting.js';

/** Longer than any request may take, in ms: the longest wait for a turn, and for the log. */
const BOUND_MS = 90_000;

/** One request of each kind, with what it is answered while nothing is away. */
interface Asked {
  readonly status: number;
  /** Where it is answered otherwise once it was done. */
  readonly doneStatus?: number;
  readonly ask: () => Promise<Answer>;
}

/**
 * One request of each kind, to sessions of its own, which are made before: to be asked while
 * something is away.
 */
export class EveryRequest {
  private constructor(private readonly kinds: Readonly<Record<string, Asked>>) {}

  static async prepare(url: string): Promise<EveryRequest> {
    const begun = async (agent = new Agent(url)) => {
      const { sbp } = await agent.turn('Hello.');
      return { agent, key: sbp, path: `sessions/${sbp.session_id}` };
    };
    const exported = async () => {
      const { agent, key } = await begun();
      const { roaming_token } = ExportResponse.parse((await agent.export(key.session_id)).json);
      return { agent, roaming_token };
    };
    const [read, changed, forked, handed, revoked, running] = await Promise.all(
      Array.from({ length: 6 }, () => begun()),
    );
    const [once, again] = await Promise.all([exported(), exported()]);
    if (!read || !changed || !forked || !handed || !revoked || !running) throw new Error('none');
    void running.agent
      .post({
        ...turn(steered('ttft=60000', 'The long one.')),
        sbp: { session_id: running.key.session_id, background: true },
      })
      .catch(() => undefined);
    await eventually(async () => {
      const { turn_in_flight } = await running.agent.session(running.key.session_id);
      expect(turn_in_flight).not.toBeNull();
    });
    const get = (path: string) => ({ status: 200, ask: () => read.agent.get(path) });
    const post = (agent: Agent, status: number, path: string, body: object = {}) => {
      const headers = { 'idempotency-key': randomUUID() };
      return { status, ask: () => agent.send(path, body, headers) };
    };
    const initialize = {
      ...{ jsonrpc: '2.0', id: 1, method: 'initialize' },
      params: {
        ...{ protocolVersion: '2025-06-18', capabilities: {} },
        clientInfo: { name: 'test', version: '1' },
      },
    };
    return new EveryRequest({
      list: get(`sessions?agent_id=${read.agent.id}`),
      session: get(read.path),
      messages: get(`${read.path}/messages`),
      turns: get(`${read.path}/turns`),
      turn: get(`${read.path}/turns/${read.key.turn_id}`),
      snapshots: get(`${read.path}/snapshots`),
      lineage: get(`${read.path}/lineage`),
      exports: get(`${read.path}/exports`),
      inspection: get(`token/${once.roaming_token}`),
      audit: get('audit'),
      usage: get('analytics/usage'),
      'PATCH status': {
        status: 200,
        ask: () => changed.agent.patch(changed.key.session_id, 'suspended'),
      },
      export: post(read.agent, 201, `${read.path}/export`),
      fork: post(forked.agent, 201, `${forked.path}/fork`),
      import: post(once.agent, 201, 'sessions/import', once),
      'import of a copy': post(again.agent, 201, 'sessions/import', {
        ...again,
        allow_reuse: true,
      }),
      handoff: post(handed.agent, 201, `${handed.path}/handoff`, { to_agent_id: randomUUID() }),
      cancel: { ...post(running.agent, 202, `${running.path}/cancel`), doneStatus: 409 },
      token: post(revoked.agent, 201, `${revoked.path}/token`, { revoke: true }),
      mcp: {
        status: 200,
        ask: () =>
          request(`${url}/v1/sbp/${read.path}/mcp`, {
            method: 'POST',
            headers: {
              ...{ 'content-type': 'application/json' },
              ...{ accept: 'application/json, text/event-stream' },
              authorization: `Bearer ${read.key.session_token}`,
            },
            body: JSON.stringify(initialize),
          }),
      },
      'a turn': {
        status: 200,
        ask: () => read.agent.post({ ...turn('More.'), sbp: { session_id: read.key.session_id } }),
      },
      'a first turn': {
        status: 200,
        ask: () => new Agent(url).post({ ...turn('Hello.'), sbp: {} }),
      },
      'a turn of no known session': {
        status: 404,
        ask: () => read.agent.post({ ...turn('More.'), sbp: { session_id: randomUUID() } }),
      },
      'an attach': {
        status: 101,
        ask: () => attached(url, read.key),
      },
    });
  }

  /** Asks everything at once; each is answered as always, or told honestly, and in time. */
  async askHonestly(): Promise<void> {
    const told = await Promise.all(Object.entries(this.kinds).map((kind) => dishonest(...kind)));
    expect(told.filter((each) => each !== null)).toEqual([]);
  }

  /** Asks everything again until each is answered as if nothing had been away. */
  async askUntilServed(): Promise<void> {
    for (const [what, { status, doneStatus = status, ask }] of Object.entries(this.kinds)) {
      await eventually(async () => {
        const answer = await ask();
        expect([status, doneStatus], `${what}: ${answer.text}`).toContain(answer.status);
      });
    }
  }
}

/** What is wrong with an answer; null for nothing. */
async function dishonest(what: string, { status, ask }: Asked): Promise<string | null> {
  try {
    const answer = await deadline(what, ask(), BOUND_MS);
    const isToldLater = answer.status === 503 && answer.headers.get('retry-after') !== null;
    return answer.status === status || isToldLater
      ? null
      : `${what}: ${answer.status} ${answer.text}`;
  } catch (error) {
    return `${what}: ${String(error)}`;
  }
}

/** An attach as if it were answered by a status: 503 for the close that says to return later. */
async function attached(
  url: string,
  key: { readonly session_id: string; readonly session_token: string },
): Promise<Answer> {
  const surface = await Surface.connect(url, key.session_id);
  surface.attach(key);
  const answered = surface.next('SESSION_ATTACHED').then(() => 101);
  const code = await Promise.race([answered, surface.closed]);
  const status = code === 1013 ? 503 : code;
  if (code === 101) await surface.detach();
  return { status, headers: new Headers({ 'retry-after': '1' }), text: String(code), json: null };
}

function turn(content: string) {
  return { model: 'm', messages: [{ role: 'user', content }] };
}
