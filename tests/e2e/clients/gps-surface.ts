import type { Agent } from './agent.js';
import { Surface } from './surface.js';

/** A question of whose two calls one is of the surface and one of the client, and its answer. */
export const MIXED = { question: 'call: surface_gps-1 look-2', answer: 'I was sent 7 messages.' };

/** An agent's session with a surface on it that answers each call of its one tool. */
export async function withGps(agent: Agent): Promise<Surface> {
  const { sbp } = await agent.turn('Hello.');
  const surface = await Surface.attach(agent.url, sbp, { context: { mcp_tools: ['gps'] } });
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
