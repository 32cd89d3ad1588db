import { randomUUID } from 'node:crypto';
import type { Readable, Writable } from 'node:stream';
import type { SurfaceContext } from '#libs/protocol';
import { Limit } from '#libs/timing';
import type { SurfaceListener } from './client/surface-client.js';
import { SurfaceClient } from './client/surface-client.js';
import type { SurfaceOptions } from './options.js';
import { InvalidOptions, parseSurfaceOptions } from './options.js';
import { SessionApi } from './session/session-api.js';
import type { SessionHandle } from './session/session-api.js';
import { jsonLine } from './terminal/plain-text.js';
import { Terminal } from './terminal/terminal.js';
import { camera } from './tools/camera.js';
import { gps } from './tools/gps.js';
import { notify } from './tools/notify.js';
import { prompt } from './tools/prompt.js';
import { shell } from './tools/shell.js';
import type { Tool } from './tools/tool.js';
import { Toolbox } from './tools/toolbox.js';
import { TurnView } from './turns/turn-view.js';

/** Messages that were typed and whose turn has not ended. */
const MOST_MESSAGES = 100;

/** The process that a surface runs in. */
export interface SurfaceIo {
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly stdin: Readable & { readonly isTTY?: boolean };
  readonly stdout: Writable;
  readonly stderr: Writable;
  /** Aborts when the person wants to leave. */
  readonly stop: AbortSignal;
}

/** `sbp-server surface`. Resolves with the exit code. `argv`: what follows the command. */
export async function runSurface(argv: readonly string[], io: SurfaceIo): Promise<number> {
  let options: SurfaceOptions;
  try {
    options = parseSurfaceOptions(io.environment, argv);
  } catch (error) {
    if (!(error instanceof InvalidOptions)) throw error;
    io.stderr.write(`${error.message}\n`);
    return 1;
  }
  const leaving = new AbortController();
  const leave = (): void => leaving.abort();
  if (io.stop.aborted) leave();
  io.stop.addEventListener('abort', leave);
  // Whoever read the output has gone.
  io.stdout.once('error', leave);
  const terminal = new Terminal(
    {
      input: io.stdin,
      output: io.stdout,
      notices: options.json ? io.stderr : io.stdout,
    },
    // The end of a file is no wish to leave; that of what a person types is.
    () => {
      if (io.stdin.isTTY === true) leave();
    },
  );
  leaving.signal.addEventListener('abort', () => terminal.close());
  try {
    return await new Surface(options, terminal, leaving.signal).run();
  } finally {
    leave();
    io.stop.removeEventListener('abort', leave);
    await terminal.flushed();
  }
}

class Surface {
  private readonly api: SessionApi;
  private readonly view = new TurnView();
  /** Messages go out in the order in which they were typed. */
  private readonly messages = new Limit(1);
  private waitingMessages = 0;

  constructor(
    private readonly options: SurfaceOptions,
    private readonly terminal: Terminal,
    private readonly leaving: AbortSignal,
  ) {
    this.api = new SessionApi(options.url, options.apiKey, options.model, leaving);
  }

  async run(): Promise<number> {
    const { options, terminal, leaving } = this;
    const tools = new Toolbox(await this.offeredTools());
    const session = options.session ?? (await this.open());
    if (session === null) return leaving.aborted ? 0 : 1;
    const onAttached = Promise.withResolvers<undefined>();
    const client = new SurfaceClient({
      url: options.url,
      sessionId: session.id,
      token: session.token,
      context: this.context(tools),
      tools,
      listener: this.listener(() => onAttached.resolve(undefined)),
    });
    const send = (message: string): void => void this.send(message, session.id, client);
    // Only once it is attached, so that the turns of these messages have the device's tools.
    void onAttached.promise.then(() => {
      if (options.session !== null && options.ask !== null) send(options.ask);
      terminal.read(send);
    });
    const leave = (): void => void client.leave();
    leaving.addEventListener('abort', leave);
    try {
      const { exitCode, why } = await client.run();
      terminal.say(`-- ${why}`);
      return exitCode;
    } finally {
      leaving.removeEventListener('abort', leave);
    }
  }

  private async offeredTools(): Promise<readonly Tool[]> {
    const { terminal, options } = this;
    const confirmed = options.shell ? [shell(terminal)] : [];
    if (options.tools.length === 0) return confirmed;
    if (!options.permitted) {
      const names = options.tools.join(', ');
      const answer = await terminal.askAhead(`?? May the model use ${names} of this device? [y/N]`);
      if (answer.type !== 'answered' || !/^\s*y(es)?\s*$/i.test(answer.text)) return confirmed;
    }
    const byName = {
      camera,
      gps: gps(options.place),
      notify: notify(terminal),
      prompt: prompt(terminal),
    };
    return [...options.tools.map((name) => byName[name]), ...confirmed];
  }

  /** Opens a session and says which; null where none could be opened, which is said too. */
  private async open(): Promise<SessionHandle | null> {
    const { terminal, options } = this;
    const message = options.ask ?? (await this.firstMessage());
    if (message === null) return null;
    const opened = await this.api.open(message);
    if (opened.type === 'refused') {
      if (!this.leaving.aborted) terminal.say(`-- ${opened.problem}`);
      return null;
    }
    const { id, token } = opened.session;
    if (options.json) terminal.write(`${jsonLine({ session_id: id, session_token: token })}\n`);
    else terminal.write(`SBP_SESSION_ID=${id}\nSBP_SESSION_TOKEN=${token}\n`);
    return opened.session;
  }

  private async firstMessage(): Promise<string | null> {
    for (;;) {
      const answer = await this.terminal.askAhead('?? What do you want to say first?');
      if (answer.type !== 'answered') {
        this.terminal.say('-- A session begins with a message: type one, or give it by --ask.');
        return null;
      }
      if (answer.text.trim() !== '') return answer.text;
    }
  }

  private context(tools: Toolbox): SurfaceContext {
    return {
      device_type: this.options.deviceType,
      ui_capabilities: ['streaming'],
      surface_id: `terminal-${randomUUID()}`,
      mcp_tools: tools.names,
      mcp_tool_schemas: tools.schemas,
      acknowledges: true,
      aliases: false,
    };
  }

  private listener(onAttached: () => void): SurfaceListener {
    const { terminal, view, options } = this;
    return {
      onFrame: (frame, json) => {
        if (options.json) {
          // The token is the person's secret, and whoever reads this is not asked to keep it.
          const printed = Object.entries(json).filter(([field]) => field !== 'session_token');
          terminal.write(`${jsonLine(Object.fromEntries(printed))}\n`);
        } else {
          for (const { type, text } of view.show(frame)) {
            if (type === 'text') terminal.write(text);
            else terminal.say(text);
          }
        }
        if (frame.type === 'SESSION_ATTACHED') onAttached();
      },
      shown: () => terminal.flushed(),
      onLost: (problem) => terminal.say(`-- No connection (${problem}); trying again.`),
    };
  }

  /** Says what went wrong itself. */
  private async send(message: string, id: string, client: SurfaceClient): Promise<void> {
    if (message.trim() === '') return;
    if (this.waitingMessages === MOST_MESSAGES) {
      this.terminal.say(`-- Not sent, since ${MOST_MESSAGES} messages wait.`);
      return;
    }
    this.waitingMessages += 1;
    const sent = await this.messages.run(() => this.api.send(message, { id, token: client.token }));
    this.waitingMessages -= 1;
    if (sent.type === 'refused' && !this.leaving.aborted) this.terminal.say(`-- ${sent.problem}`);
  }
}
