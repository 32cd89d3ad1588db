import { describe, expect, it } from 'vitest';
import type { Message } from '#libs/protocol';
import { SbpResponse } from '#libs/protocol';
import { z } from 'zod';
import { Agent } from '../clients/agent.js';
import type { StrictModel } from '../clients/strict-model.js';
import { Surface } from '../clients/surface.js';
import type { GetServer } from '../topology/server.js';

const Answer = z.object({
  id: z.string(),
  choices: z.tuple([
    z.object({
      finish_reason: z.string(),
      message: z.looseObject({
        content: z.string().nullable(),
        tool_calls: z.array(z.looseObject({ id: z.string() })).optional(),
      }),
    }),
  ]),
  usage: z.looseObject({ total_tokens: z.number() }),
  sbp: SbpResponse,
});

const CONTEXT = {
  mcp_tools: ['gps', 'camera', 'gps'],
  mcp_tool_schemas: {
    gps: { description: 'Where it is.', inputSchema: { type: 'object', required: ['call'] } },
    camera: { inputSchema: { type: 'object', required: ['facing'] } },
  },
};
const own = (name: string) => ({ type: 'function', function: { name } });

/** How a model uses the tools of a surface; the model takes only what OpenAI's does. */
export function surfaceTools(server: GetServer, model: () => StrictModel): void {
  const ask = async (agent: Agent, messages: readonly Message[], more: object = {}) => {
    const { status, json, text } = await agent.post({ model: 'm', messages, sbp: {}, ...more });
    expect(status, text).toBe(200);
    return Answer.parse(json);
  };
  const say = (agent: Agent, content: string, more: object = {}) =>
    ask(agent, [{ role: 'user', content }], more);

  /** An agent's session with a surface on it. */
  async function attached(context: object = CONTEXT) {
    const { url } = server();
    const agent = new Agent(url);
    const { sbp } = await say(agent, 'Hello.');
    return { agent, sbp, url, surface: await Surface.attach(url, sbp, { context }) };
  }

  /** Answers the next call of a surface. */
  async function answer(surface: Surface, result: unknown) {
    const call = await surface.next('TOOL_CALL');
    surface.send({ type: 'TOOL_RESULT', call_id: call.call_id, result });
    return call;
  }
  const results = () => model().asked.filter(({ role }) => role === 'tool');

  describe('§7 a tool of the surface', () => {
    // [SBP-L5-01] [SBP-L5-02] [SBP-L5-10]
    it('is offered beside the tools of the client, called, and its result goes to the model', async () => {
      const { agent, surface, sbp } = await attached();
      const asking = say(agent, 'call: surface_gps-1', { tools: [own('a')] });
      const call = await answer(surface, { lat: 35.68 });
      expect(call).toMatchObject({ tool_name: 'gps', tool_input: { call: 'surface_gps-1' } });
      const { choices, usage } = await asking;
      expect(choices[0]).toMatchObject({
        finish_reason: 'stop',
        message: { content: 'I was sent 5 messages.' },
      });
      expect(choices[0].message.tool_calls).toBeUndefined();
      expect(usage.total_tokens).toBe(4);
      expect(results()).toMatchObject([{ content: '{"lat":35.68}' }]);
      expect(model().tools).toMatchObject([
        own('a'),
        { function: { name: 'surface_gps', description: 'Where it is.' } },
        { function: { name: 'surface_camera', parameters: { required: ['facing'] } } },
      ]);
      // It stays in the conversation, also where the client resends what it has seen.
      const seen: Message[] = [
        { role: 'user', content: 'Hello.' },
        { role: 'assistant', content: 'I was sent 1 messages.' },
        { role: 'user', content: 'call: surface_gps-1' },
        { role: 'assistant', content: 'I was sent 5 messages.' },
      ];
      await ask(agent, [...seen, { role: 'user', content: 'And?' }]);
      expect(model().asked.map(({ role }) => role)).toEqual([
        ...['user', 'assistant', 'user', 'assistant', 'tool', 'assistant', 'user'],
      ]);
      const messages = await agent.messages(sbp.session_id);
      expect(messages.map(({ role }) => role)).toEqual([
        ...['user', 'assistant', 'user', 'assistant', 'tool', 'assistant', 'user', 'assistant'],
      ]);
    });

    // [SBP-L5-03]
    it('is called in several rounds, which its caller and the surface see as one answer', async () => {
      const { agent, surface } = await attached();
      const stream = await agent.stream('call: surface_gps-1 surface_gps-2; surface_gps-3');
      for (const at of [1, 2, 3]) await answer(surface, at);
      const { events } = await stream.whole();
      const text = stream.text();
      expect(text).toBe('I was sent 8 messages.');
      const ids = events.flatMap(({ data }) => /chatcmpl-[0-9a-f-]+/.exec(data) ?? []);
      expect(new Set(ids).size).toBe(1);
      expect(JSON.stringify(events)).not.toContain('surface_');
      const { chunk_id } = await surface.next('TURN_COMPLETE');
      expect(surface.text(chunk_id)).toBe(text);
      expect(results().map(({ content }) => content)).toEqual(['1', '2', '3']);
    });

    // [SBP-L5-04]
    it('runs where the model calls it together with a tool of the client, who gets its own call', async () => {
      const { agent, surface } = await attached();
      const asking = say(agent, 'call: surface_gps-1 a-2', { tools: [own('a')] });
      await answer(surface, 'here');
      const { choices } = await asking;
      expect(choices[0].finish_reason).toBe('tool_calls');
      expect(choices[0].message.tool_calls?.map(({ id }) => id)).toEqual(['a-2']);
      const told: Message = { role: 'tool', tool_call_id: 'a-2', content: 'done' };
      await ask(agent, [told], { tools: [own('a')] });
      expect(results().map(({ content }) => content)).toEqual(['here', 'done']);
    });

    // [SBP-L5-01]
    it('is one of those that are taken, of a surface that names more', async () => {
      const names = Array.from({ length: 500 }, (_, at) => `t${at}`);
      const long = 'x'.repeat(65);
      const { agent, surface } = await attached({
        mcp_tools: [long, '__proto__', 'gps', ...names],
        mcp_tool_schemas: { [long]: {}, t499: {}, gps: { inputSchema: { properties: 5 } } },
      });
      const registered = ['__proto__', 'gps', ...names.slice(0, 126)];
      expect(surface.attached.mcp_tools_registered).toEqual(registered);
      const asking = say(agent, 'call: surface___proto__-1', { tools: [own('surface_gps')] });
      expect(await answer(surface, 'here')).toMatchObject({ tool_name: '__proto__' });
      await asking;
      expect(results()).toMatchObject([{ content: 'here' }]);
      const offered = model().tools as readonly ReturnType<typeof own>[];
      expect(offered.map(({ function: { name } }) => name)).toEqual([
        'surface_gps',
        ...registered.filter((name) => name !== 'gps').map((name) => `surface_${name}`),
      ]);
      // The client's own is meant where both have one name.
      const { choices } = await say(agent, 'call: surface_gps-1', { tools: [own('surface_gps')] });
      expect(choices[0].message.tool_calls?.map(({ id }) => id)).toEqual(['surface_gps-1']);
      expect(surface.of('TOOL_CALL')).toHaveLength(1);
    });

    // [SBP-L5-05] [SBP-L5-06]
    it('has no other outcome when its result comes after its time', async () => {
      const { agent, surface } = await attached({
        mcp_tools: ['slow', 'gps'],
        mcp_tool_schemas: { slow: { timeout_seconds: 0.01 } },
      });
      const asking = say(agent, 'call: surface_slow-1; surface_gps-2');
      const { call_id } = await surface.next('TOOL_CALL');
      const next = await surface.next('TOOL_CALL');
      surface.send({ type: 'TOOL_RESULT', call_id, result: 'too late' });
      surface.send({ type: 'TOOL_RESULT', call_id: next.call_id, result: 'in time' });
      await asking;
      expect(results().map(({ content }) => content)).toEqual(['{"error":"timeout"}', 'in time']);
    });

    // [SBP-L5-05] [SBP-WS-03]
    it('is cancelled when its surface sends a binary frame', async () => {
      const { agent, surface } = await attached();
      const asking = say(agent, 'call: surface_gps-1');
      await surface.next('TOOL_CALL');
      surface.sendRaw(Buffer.from('{}'));
      expect(await surface.closed).toBe(1003);
      await asking;
      expect(results()).toMatchObject([
        { content: expect.stringContaining('cancelled') as string },
      ]);
    });

    // [SBP-L5-05]
    it('has failed when nothing comes of it in its time', async () => {
      const { agent } = await attached({
        mcp_tools: ['gps'],
        mcp_tool_schemas: { gps: { timeout_seconds: 0.01 } },
      });
      await say(agent, 'call: surface_gps-1');
      expect(results()).toMatchObject([{ content: '{"error":"timeout"}' }]);
    });

    // [SBP-L5-05]
    it.each(['leaves', 'is replaced'])('is cancelled when its surface %s', async (how) => {
      const { agent, surface, sbp, url } = await attached();
      const asking = say(agent, 'call: surface_gps-1');
      const { call_id } = await surface.next('TOOL_CALL');
      if (how === 'leaves') await surface.detach();
      else await Surface.attach(url, sbp);
      await asking;
      expect(results()).toMatchObject([
        { content: expect.stringContaining('cancelled') as string },
      ]);
      expect(call_id).toMatch(/^[0-9a-f-]{36}$/);
    });

    // [SBP-L5-06]
    it('has one outcome, whatever else a surface sends', async () => {
      const { agent, surface } = await attached();
      const other = await attached();
      const asking = say(agent, 'call: surface_gps-1');
      const { call_id } = await surface.next('TOOL_CALL');
      other.surface.send({ type: 'TOOL_RESULT', call_id, result: 'of another session' });
      surface.send({ type: 'TOOL_RESULT', call_id: 'unknown', result: 'of no call' });
      surface.send({ type: 'TOOL_RESULT', call_id: 5 });
      surface.send({ type: 'TOOL_RESULT', call_id, error: 'The first.' });
      surface.send({ type: 'TOOL_RESULT', call_id, result: 'The second.' });
      await asking;
      expect(results()).toMatchObject([{ content: '{"error":"The first."}' }]);
    });

    // [SBP-L5-07]
    it('is not called with arguments that do not fit, nor where no surface declares it', async () => {
      const { agent, surface } = await attached();
      await say(agent, 'call: surface_camera-1');
      expect(results()).toMatchObject([{ content: expect.stringContaining("'facing'") as string }]);
      await say(agent, 'invent: surface_door-1');
      expect(results().at(-1)?.content).toMatch(/There is no tool surface_door/);
      expect(surface.of('TOOL_CALL')).toEqual([]);
    });

    // [SBP-L5-08]
    it.each([
      ['a text', 'here', 'here'],
      ['nothing', undefined, 'null'],
      ['what a tool of MCP returns', { content: [{ type: 'text', text: 'a' }] }, 'a'],
      [
        'an error of MCP',
        { content: [{ type: 'text', text: 'a' }], isError: true },
        '{"error":"a"}',
      ],
      [
        'an image that the model is not shown',
        { content: [{ type: 'image', mimeType: 'image/png', data: 'AAAA' }] },
        '[image, image/png, 3 bytes, that you cannot be shown]',
      ],
      ['8 MiB', 'x'.repeat(8 * 1024 * 1024 - 200), 'x'.repeat(8 * 1024 * 1024 - 200)],
    ])('may return %s', async (_, result, told) => {
      const { agent, surface } = await attached();
      const asking = say(agent, 'call: surface_gps-1');
      await answer(surface, result);
      await asking;
      // Not compared by the test's own means: a difference of megabytes cannot be shown.
      expect(results().map(({ content }) => content === told)).toEqual([true]);
    });

    // [SBP-L5-08]
    it('may return an image, which models that take images are shown', async () => {
      const { agent, surface } = await attached();
      const asking = say(agent, 'call: surface_gps-1', { model: 'images-1' });
      const image = { type: 'image', mimeType: 'image/png', data: 'AAAA' };
      await answer(surface, { content: [image] });
      await asking;
      expect(model().asked.at(-1)).toMatchObject({
        role: 'user',
        content: [{ type: 'text' }, { image_url: { url: 'data:image/png;base64,AAAA' } }],
      });
    });

    // [SBP-L5-08]
    it('has failed where its result is nested too deep', async () => {
      const { agent, surface } = await attached();
      const asking = say(agent, 'call: surface_gps-1');
      const { call_id } = await surface.next('TOOL_CALL');
      const deep = `${'['.repeat(200_000)}${']'.repeat(200_000)}`;
      surface.sendRaw(`{"type":"TOOL_RESULT","call_id":"${call_id}","result":${deep}}`);
      await asking;
      expect(results()).toMatchObject([{ content: expect.stringContaining('nested') as string }]);
    });

    // [SBP-L5-09]
    it('is called in so many rounds and no more', async () => {
      const { agent, surface } = await attached();
      const words = Array.from({ length: 9 }, (_, at) => `surface_gps-${at}`).join('; ');
      const asking = agent.post({
        model: 'm',
        messages: [{ role: 'user', content: `call: ${words}` }],
        tool_choice: 'required',
        sbp: {},
      });
      // The settings of the tests say 5.
      for (let round = 1; round <= 5; round++) await answer(surface, round);
      expect((await asking).status).toBe(503);
      expect(model().toolChoice).toBe('none');
      expect(surface.of('TOOL_CALL')).toHaveLength(5);
    });
  });
}
