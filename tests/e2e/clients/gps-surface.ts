import type { Agent } from './agent.js';
import type { SessionKey } from './surface.js';
import { Surface } from './surface.js';

/** A question of whose two calls one is of the surface and one of the client, and its answer. */
export const MIXED = { question: 'call: surface_gps-1 look-2', answer: 'I was sent 7 messages.' };

/** An agent's session with a surface on it that answers each call of its one tool. */
export async function withGps(agent: Agent): Promise<Surface> {
  return gpsOn(agent.url, (await agent.turn('Hello.')).sbp);
}

/** A surface on a session that answers each call of its one tool. */
export async function gpsOn(url: string, key: SessionKey): Promise<Surface> {
  const surface = await Surface.attach(url, key, { context: { mcp_tools: ['gps'] } });
  surface.socket.on('message', (data: Buffer) => {
    const frame = JSON.parse(data.toString()) as {
      readonly type: string;
      readonly call_id: string;
    };
    if (frame.type !== 'TOOL_CALL') return;
    surface.send({ type: 'TOOL_RESULT', call_id: frame.call_id, result: 'here' });
  });
  return surface;
}
