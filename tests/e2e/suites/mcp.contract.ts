import { execFile } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import path from 'node:path';
import { promisify } from 'node:util';
import { Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client';
import { Client as OldClient } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport as OldTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import { ToolListChangedNotificationSchema } from '@modelcontextprotocol/sdk/types.js';
import { afterEach, describe, expect, it } from 'vitest';
import { z } from 'zod';
import type { SurfaceContext } from '#libs/protocol';
import { Agent, request } from '../clients/agent.js';
import { Failure } from '../clients/bodies.js';
import { Surface } from '../clients/surface.js';
import type { SessionKey } from '../clients/surface.js';
import { eventually } from '../clients/waiting.js';
import type { GetServer } from '../topology/server.js';

const run = promisify(execFile);
const BIN = path.resolve(import.meta.dirname, '../../../node_modules/.bin');

const SCHEMA_2020 = {
  $schema: 'https://json-schema.org/draft/2020-12/schema',
  type: 'object' as const,
  $defs: {
    address: {
      type: 'object',
      properties: { street: { type: 'string' }, city: { type: 'string' } },
    },
  },
  properties: { name: { type: 'string' }, address: { $ref: '#/$defs/address' } },
  additionalProperties: false,
};

const text = (said: string) => ({ type: 'text', text: said });
const image = { type: 'image', data: 'iVBORw0KGgo=', mimeType: 'image/png' };
const audio = { type: 'audio', data: 'UklGRg==', mimeType: 'audio/wav' };
const resource = (uri: string, mimeType: string, said: string) => {
  return { type: 'resource', resource: { uri, mimeType, text: said } };
};

/** What the device of the conformance tests answers, by its tools. */
const ANSWERS: Readonly<Record<string, unknown>> = {
  test_simple_text: { content: [text('This is a simple text response for testing.')] },
  test_image_content: { content: [image] },
  test_audio_content: { content: [audio] },
  test_embedded_resource: {
    content: [resource('test://embedded-resource', 'text/plain', 'This is an embedded resource.')],
  },
  test_multiple_content_types: {
    content: [
      text('Multiple content types test:'),
      image,
      resource('test://mixed-content-resource', 'application/json', '{"test":"data"}'),
    ],
  },
  test_error_handling: {
    content: [text('This tool intentionally returns an error for testing')],
    isError: true,
  },
};

/** The official scenarios for servers that use tools alone. */
const SCENARIOS = [
  'server-initialize',
  'ping',
  'tools-list',
  'tools-call-simple-text',
  'tools-call-image',
  'tools-call-audio',
  'tools-call-embedded-resource',
  'tools-call-mixed-content',
  'tools-call-error',
  'json-schema-2020-12',
  'dns-rebinding-protection',
];

/** The session's endpoint for clients of MCP. */
export function mcp(server: GetServer): void {
  const open: { close(): Promise<void> }[] = [];
  afterEach(async () => {
    await Promise.all(open.splice(0).map((client) => client.close()));
  });

  /** A session with a surface on it, on another replica than the one that clients of MCP use. */
  async function attached(context: SurfaceContext) {
    const { url, replicas } = server();
    const { sbp } = await new Agent(url).turn('Hello.');
    const { first, second } = replicas('gateway');
    const surface = await Surface.attach(second, sbp, { context });
    return { key: sbp, surface, second, address: endpoint(first, sbp) };
  }

  const endpoint = (url: string, { session_id: id }: SessionKey) =>
    `${url}/v1/sbp/sessions/${id}/mcp`;
  const withToken = ({ session_token: token }: SessionKey) => {
    return { requestInit: { headers: { authorization: `Bearer ${token}` } } };
  };

  /** Answers each call of a surface. */
  async function answering(surface: Surface, answer: (tool: string) => object): Promise<never> {
    for (;;) {
      const { call_id, tool_name } = await surface.next('TOOL_CALL');
      surface.send({ type: 'TOOL_RESULT', call_id, ...answer(tool_name) });
    }
  }

  /** A client of the official SDK; of its second version, by the newest protocol. */
  async function connect(address: string, key: SessionKey) {
    const changes: string[][] = [];
    const client = new Client(
      { name: 'test', version: '1' },
      {
        versionNegotiation: { mode: 'auto' },
        listChanged: {
          tools: {
            onChanged: (_, tools) => void changes.push((tools ?? []).map(({ name }) => name)),
          },
        },
      },
    );
    await client.connect(new StreamableHTTPClientTransport(new URL(address), withToken(key)));
    open.push(client);
    return { client, changes };
  }

  async function connectOld(address: string, key: SessionKey) {
    const changes: string[] = [];
    const client = new OldClient({ name: 'test', version: '1' });
    client.setNotificationHandler(ToolListChangedNotificationSchema, ({ method }) => {
      changes.push(method);
    });
    const transport = new OldTransport(new URL(address), withToken(key));
    await client.connect(transport);
    open.push(client);
    return { client, changes };
  }

  const GPS = {
    mcp_tools: ['gps', 'camera'],
    mcp_tool_schemas: {
      gps: {
        description: 'Where it is.',
        inputSchema: { type: 'object' as const, required: ['unit'] },
      },
    },
  };

  describe('§7 the tools of a session for clients of MCP', () => {
    // [SBP-L5-20] [SBP-L5-21]
    it.each(['the newest', 'an older'] as const)(
      'are listed and called by %s client of the official SDK',
      async (which) => {
        const { address, key, surface } = await attached(GPS);
        const { client } = await (which === 'the newest' ? connect : connectOld)(address, key);
        expect((await client.listTools()).tools).toMatchObject([
          {
            name: 'gps',
            description: 'Where it is.',
            inputSchema: { type: 'object', required: ['unit'] },
          },
          { name: 'camera', inputSchema: { type: 'object' } },
        ]);
        const calling = client.callTool({ name: 'gps', arguments: { unit: 'degrees' } });
        const call = await surface.next('TOOL_CALL');
        expect(call).toMatchObject({ tool_name: 'gps', tool_input: { unit: 'degrees' } });
        surface.send({ type: 'TOOL_RESULT', call_id: call.call_id, result: { lat: 35.68 } });
        expect(await calling).toMatchObject({
          content: [text('{"lat":35.68}')],
          structuredContent: { lat: 35.68 },
        });
      },
    );

    // [SBP-L5-21]
    it('fail as the surface says, when their time is over, and when it goes', async () => {
      const { address, key, surface } = await attached({
        mcp_tools: ['gps', 'slow'],
        mcp_tool_schemas: { slow: { timeout_seconds: 0.01 } },
      });
      const { client } = await connect(address, key);
      const failing = client.callTool({ name: 'gps' });
      const { call_id } = await surface.next('TOOL_CALL');
      surface.send({ type: 'TOOL_RESULT', call_id, error: 'No signal.' });
      expect(await failing).toMatchObject({ isError: true, content: [text('No signal.')] });
      const slow = client.callTool({ name: 'slow' });
      expect(await slow).toMatchObject({ isError: true, content: [text('timeout')] });
      const last = client.callTool({ name: 'gps' });
      await surface.until(() => surface.of('TOOL_CALL').length === 3);
      await surface.drop();
      expect(await last).toMatchObject({
        isError: true,
        content: [{ text: expect.stringContaining('cancelled') as string }],
      });
    });

    // [SBP-L5-21]
    it('are not called where no surface has them, nor with arguments that do not fit', async () => {
      const { address, key, surface } = await attached(GPS);
      const { client } = await connect(address, key);
      await expect(client.callTool({ name: 'door' })).rejects.toThrow(/There is no tool door/);
      await expect(client.callTool({ name: 'gps' })).rejects.toThrow(/unit/);
      await surface.detach();
      expect((await client.listTools()).tools).toEqual([]);
      await expect(client.callTool({ name: 'camera' })).rejects.toThrow(/no attached device/);
      expect(surface.of('TOOL_CALL')).toEqual([]);
    });

    // [SBP-L5-22]
    it('are told of when they change, as surfaces come and go at any replica', async () => {
      const { address, key, surface, second } = await attached({ mcp_tools: ['gps'] });
      const { changes } = await connect(address, key);
      const old = await connectOld(address, key);
      await surface.detach();
      await eventually(() => {
        expect(changes.at(-1)).toEqual([]);
        expect(old.changes).toHaveLength(1);
      });
      await Surface.attach(second, key, { context: { mcp_tools: ['camera'] } });
      await eventually(() => {
        expect(changes.at(-1)).toEqual(['camera']);
        expect(old.changes).toHaveLength(2);
      });
    });

    // [SBP-L5-20]
    it('are for whoever may use the session alone', async () => {
      const { address, key } = await attached(GPS);
      const other = await attached(GPS);
      const body = { jsonrpc: '2.0', id: 1, method: 'tools/list' };
      const post = (authorization: string, to = address) =>
        request(to, {
          method: 'POST',
          headers: {
            authorization,
            'content-type': 'application/json',
            accept: 'application/json, text/event-stream',
          },
          body: JSON.stringify(body),
        });
      for (const [token, status, code] of [
        ['forged', 401, 'SBP_UNAUTHORIZED'],
        [other.key.session_token, 403, 'SBP_FORBIDDEN'],
      ] as const) {
        const answer = await post(`Bearer ${token}`);
        expect([answer.status, Failure.parse(answer.json).error.code]).toEqual([status, code]);
      }
      const nowhere = address.replace(key.session_id, randomUUID());
      expect((await post('', nowhere)).status).toBe(404);
      expect((await post('', address.replace(key.session_id, 'none'))).status).toBe(422);
      expect((await post(`Bearer ${key.session_token}`)).status).toBe(200);
    });

    // [SBP-L5-20]
    it('are used by the Inspector on the command line', async () => {
      const { address, key, surface } = await attached(GPS);
      void answering(surface, () => ({ result: 'At home.' })).catch(() => undefined);
      const inspect = async (...more: readonly string[]) => {
        const token = `authorization: Bearer ${key.session_token}`;
        const options = ['--cli', address, '--transport', 'http', '--header', token, ...more];
        const { stdout } = await run(path.join(BIN, 'mcp-inspector'), options);
        return JSON.parse(stdout) as unknown;
      };
      expect(await inspect('--method', 'tools/list')).toMatchObject({
        tools: [{ name: 'gps' }, { name: 'camera' }],
      });
      const called = ['--method', 'tools/call', '--tool-name', 'gps', '--tool-arg', 'unit=degrees'];
      expect(await inspect(...called)).toMatchObject({ content: [text('At home.')] });
    });

    // [SBP-L5-20]
    it.each(SCENARIOS)('pass the official conformance test %s', async (scenario) => {
      const { address, surface } = await attached({
        mcp_tools: [...Object.keys(ANSWERS), 'json_schema_2020_12_tool'],
        mcp_tool_schemas: {
          ...Object.fromEntries(
            Object.keys(ANSWERS).map((name) => [name, { description: `It is ${name}.` }]),
          ),
          json_schema_2020_12_tool: {
            description: 'Tool with JSON Schema 2020-12 features',
            inputSchema: SCHEMA_2020,
          },
        },
      });
      void answering(surface, (tool) => ({ result: ANSWERS[tool] })).catch(() => undefined);
      const ran = await run(path.join(BIN, 'conformance'), [
        ...['server', '--url', address, '--scenario', scenario],
      ]).catch((error: unknown) => z.object({ stdout: z.string() }).parse(error));
      expect(ran.stdout).toMatch(/Failed: 0|0 failed/);
      expect(ran.stdout).not.toMatch(/FAILURE/);
    });
  });
}
