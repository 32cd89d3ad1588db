import { describe, expect, it, vi } from 'vitest';
import type { UsageRow } from '#libs/protocol';
import { AuditResponse, UsageResponse } from '#libs/protocol';
import { Agent, steered } from '../clients/agent.js';
import { Surface } from '../clients/surface.js';
import type { GetServer } from '../topology/server.js';

const CONTEXT = {
  device_type: 'mobile',
  mcp_tools: ['gps'],
  mcp_tool_schemas: { gps: { description: 'Where it is.' } },
};
const SLOW = 'tokens=600 interval=100';
const SOON = { timeout: 30_000, interval: 200 };
/** What the surface's tool returns, which is nobody's business but the conversation's. */
const SECRET_PLACE = 'by the old lighthouse';

/** What the other consumers of the log make of it: the audit trail, and usage. */
export function consumers(server: GetServer): void {
  /** A session that has had a surface, a call of its tool, and a turn that was cancelled. */
  async function used() {
    const agent = new Agent(server().url);
    const { sbp } = await agent.turn('Hello.');
    const id = sbp.session_id;
    const surface = await Surface.attach(server().url, sbp, { context: CONTEXT });
    const second = agent.turn(steered('call=gps', 'Where am I?'));
    const { call_id } = await surface.next('TOOL_CALL');
    surface.send({ type: 'TOOL_RESULT', call_id, result: SECRET_PLACE });
    await second;
    const stream = await agent.stream(steered(SLOW, 'Go on.'));
    await stream.until(({ chunks }) => chunks.length > 1);
    expect((await agent.send(`sessions/${id}/cancel`, {})).status).toBe(202);
    await surface.close(1000);
    return { agent, id, token: sbp.session_token };
  }

  async function trail(agent: Agent, query: string) {
    const { status, json, text } = await agent.get(`audit?${query}`);
    expect(status, text).toBe(200);
    return AuditResponse.strict().parse(json);
  }

  async function usageOf(agent: Agent, query = ''): Promise<readonly UsageRow[]> {
    const { status, json, text } = await agent.get(
      `analytics/usage?group_by=agent,model,device${query}`,
    );
    expect(status, text).toBe(200);
    return UsageResponse.strict()
      .parse(json)
      .rows.filter((row) => row.agent === agent.id);
  }

  describe('the consumers of the log', () => {
    // [SBP-OPS-01] [SBP-OPS-02]
    it('tell operators who did what to a session from where, and what it used', async () => {
      const { agent, id } = await used();
      await vi.waitFor(async () => {
        const { records } = await trail(agent, `session_id=${id}`);
        expect(records.map(({ type }) => type)).toEqual(
          expect.arrayContaining([
            ...['session.opened', 'turn.started', 'turn.completed', 'surface.attached'],
            ...['tools.called', 'tool.returned', 'turn.cancelled', 'surface.detached'],
          ]),
        );
      }, SOON);
      const { records, next_after: next } = await trail(agent, `session_id=${id}`);
      expect(next).toBeNull();
      for (const { session_id } of records) expect(session_id).toBe(id);
      const byOf = (type: string) => records.find((record) => record.type === type)?.by;
      const address = expect.stringMatching(/127\.0\.0\.1|::1/) as string;
      expect(byOf('turn.started')).toMatchObject({ principal: 'anonymous', via: 'http', address });
      expect(byOf('surface.attached')).toMatchObject({ via: 'surface', address });
      expect(byOf('turn.started')?.request_id).toMatch(/./);
      for (const said of ['Hello', 'Where am I', SECRET_PLACE]) {
        expect(JSON.stringify(records)).not.toContain(said);
      }

      await vi.waitFor(async () => {
        expect((await usageOf(agent)).map(({ turns }) => turns)).toEqual(
          expect.arrayContaining([{ completed: 1, failed: 0, cancelled: 1 }]),
        );
      }, SOON);
      const rows = await usageOf(agent);
      expect(rows).toContainEqual(
        expect.objectContaining({
          model: 'gpt-4o',
          device: '',
          turns: { completed: 1, failed: 0, cancelled: 0 },
        }),
      );
      expect(
        rows.find(({ model, device }) => model === 'gpt-4o' && device === 'mobile'),
      ).toMatchObject({
        turns: { completed: 1, failed: 0, cancelled: 1 },
        tool_calls: { result: 1 },
        model_ms: { count: 1 },
      });
      expect(rows.find(({ model }) => model === '')).toMatchObject({
        device: 'mobile',
        attaches: 1,
      });
      for (const row of rows.filter(({ model }) => model !== '')) {
        expect(row.prompt_tokens).toBeGreaterThan(0);
        expect(row.completion_tokens).toBeGreaterThan(0);
      }
    });

    // [SBP-OPS-01]
    it('show the trail in pages, which have each record once', async () => {
      const { agent, id } = await used();
      await vi.waitFor(async () => {
        const { records } = await trail(agent, `session_id=${id}`);
        expect(records.length).toBeGreaterThanOrEqual(9);
      }, SOON);
      const { records } = await trail(agent, `session_id=${id}&limit=1000`);
      const paged: unknown[] = [];
      let after: string | null = '';
      while (after !== null) {
        const query: string = after === '' ? '' : `&after=${after}`;
        const page: AuditResponse = await trail(agent, `session_id=${id}&limit=4${query}`);
        paged.push(...page.records);
        after = page.next_after;
      }
      expect(paged.slice(0, records.length)).toEqual(records);
    });

    // [SBP-OPS-02]
    it('give usage as CSV, and refuse what asks for too much by its field', async () => {
      const agent = new Agent(server().url);
      await agent.turn('Hello.');
      await vi.waitFor(async () => expect(await usageOf(agent)).toHaveLength(1), SOON);
      const csv = await agent.get('analytics/usage?group_by=day,agent&format=csv');
      expect(csv.headers.get('content-type')).toMatch(/^text\/csv/);
      const today = new Date().toISOString().slice(0, 10);
      expect(csv.text).toMatch(/^day,agent,turns_completed,/);
      expect(csv.text).toContain(`\r\n${today},${agent.id},1,0,0,`);
      for (const [query, param] of [
        ['from=2024-01-01&to=2026-01-01', 'from'],
        ['from=2026-01-02&to=2026-01-01', 'to'],
        ['group_by=colour', 'group_by.0'],
        ['format=xml', 'format'],
      ]) {
        const { status, json } = await agent.get(`analytics/usage?${query}`);
        expect([status, json]).toMatchObject([
          422,
          {
            error: {
              code: 'SBP_INVALID_REQUEST',
              message: expect.stringMatching(`^${param}: `) as string,
            },
          },
        ]);
      }
    });

    // [SBP-OPS-03]
    it.each(['audit', 'analytics/usage'])('refuse the token of a session at %s', async (path) => {
      const agent = new Agent(server().url);
      const { sbp } = await agent.turn('Hello.');
      const { status } = await agent.get(path, { 'x-session-token': sbp.session_token });
      expect(status).toBe(403);
    });
  });
}
