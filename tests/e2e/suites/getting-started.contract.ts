import { describe, expect, it } from 'vitest';
import { Agent } from '../clients/agent.js';
import { Terminal } from '../clients/terminal.js';
import type { Wscat } from '../clients/terminal.js';
import { eventually } from '../clients/waiting.js';
import type { GetServer } from '../topology/server.js';

const FIRST_COMPLETION = `curl -s -X POST http://localhost:8080/v1/chat/completions \\
-H 'Content-Type: application/json' \\
-d '{
"model": "gpt-4o",
"messages": [
{"role": "user", "content": "Plan a 3-day trip to Tokyo. Be concise."}
],
"sbp": {
"checkpoint_every": 1
}
}' | python3 -m json.tool`;

const CONNECT = 'wscat -c ws://localhost:8080/v1/sbp/ws/$SESSION_ID';

const ATTACH_FRAME =
  '{"type":"ATTACH_SESSION","session_id":"<SESSION_ID>","session_token":"<TOKEN>","surface_context":{"device_type":"mobile","ui_capabilities":["markdown","streaming"],"mcp_tools":["camera"]}}';

const SECOND_COMPLETION = `curl -s -X POST http://localhost:8080/v1/chat/completions \\
-H 'Content-Type: application/json' \\
-d "{
\\"model\\": \\"gpt-4o\\",
\\"messages\\": [
{\\"role\\": \\"user\\", \\"content\\": \\"Also add 3 restaurant recommendations.\\"}
],
\\"sbp\\": {\\"checkpoint_every\\": 1}
}"`;

const EXPORT = `curl -s -X POST http://localhost:8080/v1/sbp/sessions/$SESSION_ID/export \\
-H 'Content-Type: application/json' \\
-d '{"ttl_seconds": 3600, "label": "Tokyo trip"}' | python3 -m json.tool`;

const UUID = /^[0-9a-f-]{36}$/;
const INSTANT = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$/;

interface CompletionWithSbp {
  readonly choices: readonly { readonly message: { readonly content: string } }[];
  readonly sbp: Readonly<Record<string, unknown>>;
}

/**
 * The getting-started text, pasted command by command by somebody who names no agent: the only test
 * that does so.
 */
export function gettingStarted(server: GetServer): void {
  describe('getting started', () => {
    it('goes as the text says, command by command, with curl and wscat', async () => {
      const { port } = new URL(server().url);
      const here = (command: string): string =>
        command.replace('localhost:8080', `localhost:${port}`);
      const hasPython = await new Terminal().run('command -v python3 || true');
      const pasted = (command: string): string =>
        hasPython === '' ? here(command).replace(' | python3 -m json.tool', '') : here(command);

      // 2. The first stateful completion.
      const first = JSON.parse(
        await new Terminal().run(pasted(FIRST_COMPLETION)),
      ) as CompletionWithSbp;
      expect(first.choices[0]?.message.content).toContain(
        '“Plan a 3-day trip to Tokyo. Be concise.”',
      );
      expectInOrder(first, ['choices', 'sbp']);
      expectInOrder(first.sbp, [
        'session_id',
        'snapshot_id',
        'resume_available',
        'step_count',
        'cost_usd',
      ]);
      expect(first.sbp).toMatchObject({
        session_id: expect.stringMatching(UUID) as unknown,
        session_token: expect.any(String) as unknown,
        snapshot_id: expect.stringMatching(UUID) as unknown,
        resume_available: false,
        step_count: 1,
        cost_usd: 0,
      });
      const { session_id: sessionId, session_token: token } = first.sbp as Record<string, string>;
      const terminal = new Terminal({ SESSION_ID: sessionId ?? '' });
      const frame = ATTACH_FRAME.replace('<SESSION_ID>', sessionId ?? '').replace(
        '<TOKEN>',
        token ?? '',
      );
      const attach = async (): Promise<Wscat> => {
        const wscat = await terminal.wscat(here(CONNECT));
        wscat.type(frame);
        return wscat;
      };

      // 3. A surface attaches.
      await using phone = await attach();
      const attached = await phone.prints('SESSION_ATTACHED');
      expectInOrder(attached, [
        'type',
        'session_id',
        'device_type',
        'queued_turns',
        'mcp_tools_registered',
        'sbp_version',
        'sbp_level',
      ]);
      expect(attached).toMatchObject({
        session_id: sessionId,
        device_type: 'mobile',
        queued_turns: 0,
        mcp_tools_registered: ['camera'],
        sbp_version: '1.2',
        sbp_level: 'L5',
      });

      // 4. It goes, and a turn is made while it is away.
      await phone.pressControlC();
      const second = JSON.parse(await terminal.run(here(SECOND_COMPLETION))) as CompletionWithSbp;
      expect(second.sbp).toMatchObject({ session_id: sessionId, step_count: 2 });
      expect(second.choices[0]?.message.content).toContain(
        '“Also add 3 restaurant recommendations.”',
      );

      // 5. It returns and gets the turn; it leaves at once, without having shown that it read it.
      await using hurried = await attach();
      expect(await hurried.prints('SESSION_ATTACHED')).toMatchObject({ queued_turns: 1 });
      const drained = await hurried.prints('TETHER_TURN');
      expectInOrder(drained, ['type', 'turn_index', 'role', 'content', 'created_at']);
      expect(drained).toMatchObject({
        turn_index: 0,
        role: 'assistant',
        content: second.choices[0]?.message.content,
        model_used: 'gpt-4o',
        created_at: expect.stringMatching(INSTANT) as unknown,
      });
      await hurried[Symbol.asyncDispose]();

      // So it gets it again. It stays, and its library answers the WebSocket's ping: that is
      // enough.
      await using patient = await attach();
      expect(await patient.prints('SESSION_ATTACHED')).toMatchObject({ queued_turns: 1 });
      expect(await patient.prints('TETHER_TURN')).toEqual(drained);
      const agent = new Agent(server().url);
      await eventually(async () => {
        expect(await agent.session(sessionId ?? '')).toMatchObject({ queued_turns: 0 });
      });
      await patient.pressControlC();
      await using satisfied = await attach();
      expect(await satisfied.prints('SESSION_ATTACHED')).toMatchObject({ queued_turns: 0 });
      await satisfied.pressControlC();

      // 6. The session is exported.
      const exported = JSON.parse(await terminal.run(pasted(EXPORT))) as Record<string, unknown>;
      expectInOrder(exported, ['export_id', 'roaming_token', 'expires_at', 'message_count']);
      expect(exported).toMatchObject({
        export_id: expect.stringMatching(UUID) as unknown,
        roaming_token: expect.stringMatching(/^eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9\./) as unknown,
        expires_at: expect.stringMatching(INSTANT) as unknown,
        message_count: 4,
        label: 'Tokyo trip',
      });
    });
  });
}

/** These fields are there, in this order; others may stand between them. */
function expectInOrder(object: object, fields: readonly string[]): void {
  expect(Object.keys(object).filter((field) => fields.includes(field))).toEqual(fields);
}
