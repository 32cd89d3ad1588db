import { once } from 'node:events';
import { WebSocket } from 'ws';

interface Sbp {
  readonly session_id: string;
  readonly session_token: string;
  readonly step_count: number;
}

/** A first turn, a surface, a turn that it missed and gets, an export: throws where one fails. */
export async function gettingStarted(url: string): Promise<void> {
  const first = await turn(url, 'Plan a 3-day trip to Tokyo. Be concise.', {});
  const { session_id } = first;
  const surface = await attach(url, first);
  expect(surface.frames[0], { type: 'SESSION_ATTACHED', queued_turns: 0 });
  await surface.leave();
  const second = await turn(url, 'Also add 3 restaurant recommendations.', { session_id });
  expect(second, { session_id, step_count: 2 });
  const returned = await attach(url, first, 2);
  expect(returned.frames[0], { type: 'SESSION_ATTACHED', queued_turns: 1 });
  expect(returned.frames[1], { type: 'TETHER_TURN', turn_index: 0 });
  await returned.leave();
  const body = { ttl_seconds: 3600, label: 'Tokyo trip' };
  expect(await post(`${url}/v1/sbp/sessions/${session_id}/export`, body), { message_count: 4 });
}

async function turn(url: string, content: string, sbp: object): Promise<Sbp> {
  const body = { model: 'gpt-4o', messages: [{ role: 'user', content }], sbp };
  return ((await post(`${url}/v1/chat/completions`, body)) as { sbp: Sbp }).sbp;
}

async function post(url: string, body: object): Promise<object> {
  const headers = { 'content-type': 'application/json' };
  const answer = await fetch(url, { method: 'POST', headers, body: JSON.stringify(body) });
  const text = await answer.text();
  if (!answer.ok) throw new Error(`${url}: ${answer.status} ${text}`);
  return JSON.parse(text) as object;
}

/** A surface that has got as many frames. */
async function attach(url: string, { session_id, session_token }: Sbp, count = 1) {
  const socket = new WebSocket(`${url.replace('http', 'ws')}/v1/sbp/ws/${session_id}`);
  const frames: object[] = [];
  const { promise, resolve } = Promise.withResolvers<undefined>();
  socket.on('message', (data: Buffer) => {
    if (frames.push(JSON.parse(data.toString()) as object) === count) resolve(undefined);
  });
  await once(socket, 'open');
  const surface_context = { device_type: 'mobile', ui_capabilities: ['markdown'], mcp_tools: [] };
  const frame = { type: 'ATTACH_SESSION', session_id, session_token, surface_context };
  socket.send(JSON.stringify(frame));
  await promise;
  return {
    frames,
    leave: async () => {
      socket.send(JSON.stringify({ type: 'DETACH' }));
      await once(socket, 'close');
    },
  };
}

function expect(found: object | undefined, wanted: Readonly<Record<string, unknown>>): void {
  const fields = (found ?? {}) as Readonly<Record<string, unknown>>;
  const differs = Object.entries(wanted).some(([name, value]) => fields[name] !== value);
  if (differs) throw new Error(`expected ${JSON.stringify(wanted)}, got ${JSON.stringify(found)}`);
}
