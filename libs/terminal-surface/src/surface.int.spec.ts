import { PassThrough, Writable } from 'node:stream';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { runSurface } from './surface.js';
import { FakeServer, SESSION_ID } from './testing/fake-server.js';

const CHUNK = { type: 'TURN_CHUNK', chunk_id: SESSION_ID, turn_id: SESSION_ID, offset: 0 };
const COMPLETE = {
  type: 'TURN_COMPLETE',
  chunk_id: SESSION_ID,
  turn_id: SESSION_ID,
  seq: 1,
  status: 'completed',
};
const OPENED = {
  status: 202,
  body: {
    sbp: {
      session_id: SESSION_ID,
      session_token: 'opened token',
      turn_id: SESSION_ID,
      resume_available: false,
    },
  },
};
const GIVEN = ['--session', SESSION_ID, '--token', 'given token'];

/** A stream that keeps what is written to it. */
class Printed extends Writable {
  text = '';
  private waiting: { readonly part: string; readonly resolve: () => void } | null = null;

  constructor() {
    super({ decodeStrings: false });
  }

  override _write(text: string, _encoding: string, done: () => void): void {
    this.text += text;
    this.look();
    done();
  }

  /** Resolves once `part` was printed. */
  has(part: string): Promise<void> {
    return new Promise((resolve) => {
      this.waiting = { part, resolve };
      this.look();
    });
  }

  private look(): void {
    if (this.waiting !== null && this.text.includes(this.waiting.part)) this.waiting.resolve();
  }
}

let server: FakeServer;
let stop: AbortController;
let stdin: PassThrough;
let stdout: Printed;
let stderr: Printed;
let running: Promise<number>;

beforeEach(async () => {
  server = await FakeServer.open();
  stop = new AbortController();
  stdin = new PassThrough();
  stdout = new Printed();
  stderr = new Printed();
  running = Promise.resolve(0);
});

afterEach(async () => {
  stop.abort();
  await server.close();
  await running;
});

function start(...argv: readonly string[]): void {
  const io = { environment: { SBP_URL: server.url }, stdin, stdout, stderr, stop: stop.signal };
  running = runSurface(argv, io);
}

async function attached() {
  const connection = await server.connections.next();
  const attach = await connection.attach('renewed token');
  return { connection, attach };
}

describe('a surface in the terminal', () => {
  it('opens a session, shows its turns, sends what is typed, and detaches', async () => {
    server.answer = OPENED;
    start('--ask', 'Hello', '--yes');
    const opening = await server.requests.next();
    expect(opening.path).toBe('/v1/chat/completions');
    expect(opening.body).toMatchObject({
      messages: [{ role: 'user', content: 'Hello' }],
      sbp: { force_new_session: true, background: true },
    });
    const { connection, attach } = await attached();
    expect(attach).toMatchObject({
      session_token: 'opened token',
      surface_context: {
        device_type: 'desktop',
        ui_capabilities: ['streaming'],
        mcp_tools: ['camera', 'gps', 'notify', 'prompt'],
        mcp_tool_schemas: { notify: { inputSchema: { required: ['text'] } } },
        acknowledges: true,
        aliases: false,
      },
    });
    connection.send({ ...CHUNK, delta: 'Good\u001b[2J morn' });
    connection.send({ ...CHUNK, delta: 'ing', offset: 13 });
    connection.send(COMPLETE);
    connection.send({ type: 'PING' });
    expect(await connection.frames.next()).toEqual({ type: 'PONG' });
    expect(stdout.text).toContain('The model:\nGood[2J morning\n');

    server.answer = { status: 200, body: {} };
    stdin.write('What now?\n');
    const message = await server.requests.next();
    expect(message.headers['x-session-token']).toBe('renewed token');
    expect(message.body).toMatchObject({
      messages: [{ role: 'user', content: 'What now?' }],
      stream: true,
      sbp: { session_id: SESSION_ID },
    });

    stop.abort();
    expect(await connection.frames.next()).toEqual({ type: 'DETACH' });
    connection.close(1000);
    expect(await running).toBe(0);
    expect(stdout.text).toContain(`SBP_SESSION_ID=${SESSION_ID}\nSBP_SESSION_TOKEN=opened token\n`);
    expect(stdout.text).not.toContain('renewed token');
    expect(stderr.text).toBe('');
  });

  it('asks for permission and for the first message', async () => {
    server.answer = OPENED;
    start('--tools', 'gps');
    await stdout.has('May the model use gps of this device? [y/N]');
    stdin.write('no\n');
    await stdout.has('What do you want to say first?');
    stdin.write('\nHi\n');
    expect((await server.requests.next()).body).toMatchObject({ messages: [{ content: 'Hi' }] });
    const { attach } = await attached();
    expect(attach).toMatchObject({ surface_context: { mcp_tools: [], mcp_tool_schemas: {} } });
  });

  it('offers commands by a flag of its own only, and asks for no permission in advance', async () => {
    start(...GIVEN, '--tools', 'none', '--shell');
    expect((await attached()).attach).toMatchObject({ surface_context: { mcp_tools: ['shell'] } });
  });

  it('asks in a session that is there once it is attached', async () => {
    start(...GIVEN, '--tools', 'none', '--ask', 'Take a picture', '--model', 'some/model');
    const connection = await server.connections.next();
    expect(await connection.attach('renewed token')).toMatchObject({
      session_token: 'given token',
    });
    const { headers, body } = await server.requests.next();
    expect(headers['x-session-token']).toBe('renewed token');
    expect(body).toMatchObject({ model: 'some/model', sbp: { session_id: SESSION_ID } });
  });

  it('has a tool ask the person, whose next line is the answer and no message', async () => {
    start(...GIVEN, '--tools', 'prompt', '--yes');
    const { connection } = await attached();
    const tool_input = { question: 'Which colour?' };
    connection.send({ type: 'TOOL_CALL', call_id: SESSION_ID, tool_name: 'prompt', tool_input });
    await stdout.has('?? Which colour?');
    stdin.write('blue\n');
    const came = { type: 'TOOL_RESULT', call_id: SESSION_ID, result: { answer: 'blue' } };
    expect(await connection.frames.next()).toEqual(came);
  });

  it('prints frames as lines of JSON without the token, and its own words elsewhere', async () => {
    start(...GIVEN, '--tools', 'none', '--json');
    const { connection } = await attached();
    connection.send({ ...CHUNK, delta: 'a\u001b\u009bb', more: 1 });
    connection.send({ type: 'PING' });
    expect(await connection.frames.next()).toEqual({ type: 'PONG' });
    connection.close(4009);
    expect(await running).toBe(0);
    const lines = stdout.text.trimEnd().split('\n');
    expect(lines.map((line) => JSON.parse(line) as unknown)).toEqual([
      expect.objectContaining({ type: 'SESSION_ATTACHED', queued_turns: 0 }),
      { ...CHUNK, delta: 'a\u001b\u009bb', more: 1 },
      { type: 'PING' },
    ]);
    expect(stdout.text).not.toMatch(/token|[\u009b]/);
    expect(stderr.text).toContain('Another surface took the session over.');
  });

  it('says in the words of the server why a message was not taken', async () => {
    server.answer = { status: 413, body: { error: { message: 'Too\u001b long' } } };
    start(...GIVEN, '--tools', 'none');
    await attached();
    stdin.write('x\n');
    await stdout.has('-- The server answers 413: Too long\n');
  });

  it.each([
    ['is refused', 429, { error: { message: 'Later' } }, '-- The server answers 429: Later'],
    ['gets no session', 200, {}, '-- The answer names no session.'],
  ])('ends with 1 where its first message %s', async (_, status, body, problem) => {
    server.answer = { status, body };
    start('--tools', 'none', '--ask', 'Hello');
    expect(await running).toBe(1);
    expect(stdout.text).toBe(`${problem}\n`);
  });

  it('ends with 1 where nobody says what to begin with', async () => {
    start('--tools', 'none');
    stdin.end();
    expect(await running).toBe(1);
    expect(stdout.text).toContain('A session begins with a message');
  });

  it('ends with 1 and one line for each option that cannot be used', async () => {
    start('--tools', 'x', '--place', 'x');
    expect(await running).toBe(1);
    expect([stdout.text, stderr.text.trimEnd().split('\n').length]).toEqual(['', 2]);
  });
});
