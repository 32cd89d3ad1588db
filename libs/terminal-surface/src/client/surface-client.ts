import type { AttachSession, ClientFrame, JsonObject, SurfaceContext } from '#libs/protocol';
import { ServerFrame } from '#libs/protocol';
import type { BackOff } from '#libs/timing';
import { backOff, within } from '#libs/timing';
import { WebSocket } from 'ws';
import type { Toolbox } from '../tools/toolbox.js';
import type { ToolOutcome } from '../tools/tool.js';
import { closeVerdict } from './close-verdict.js';
import { RememberedCalls } from './remembered-calls.js';
import { Silence } from './silence.js';

/** How long a connection may take to open. */
const OPEN_MS = 10_000;
/** A server sends a PING every 25 s: one that is silent for longer than two of them is gone. */
const SILENT_MS = 60_000;
/** How long the server may take to close after DETACH. */
const DETACH_MS = 2_000;

export interface SurfaceClientOptions {
  /** Of the server, `http` or `https`, without a slash at its end. */
  readonly url: string;
  readonly sessionId: string;
  readonly token: string;
  readonly context: SurfaceContext;
  readonly tools: Toolbox;
  readonly listener: SurfaceListener;
  /** Of waits before a return; those of the close codes if absent. */
  readonly backOff?: BackOff;
}

/** Who shows what the client receives. */
export interface SurfaceListener {
  /** Each frame, in order; `json` is all of it, of which `frame` has the known fields. */
  onFrame(frame: ServerFrame, json: JsonObject): void;
  /** Resolves when what was shown cannot be lost by this process any more. */
  shown(): Promise<void>;
  /** The connection is gone, or there never was one; the client tries again. */
  onLost(problem: string): void;
}

/** How a surface ended. */
export interface SurfaceEnd {
  readonly exitCode: number;
  readonly why: string;
}

interface Closed {
  readonly code: number;
  readonly problem: string;
  readonly wasAttached: boolean;
}

type Phase =
  | { readonly type: 'apart' }
  | { readonly type: 'connecting'; readonly socket: WebSocket }
  | { readonly type: 'attached'; readonly socket: WebSocket };

/**
 * A surface's side of the protocol. It attaches, and attaches again with the renewed token after
 * each connection that is lost; says PONG for what was shown; and has tools called, each call once.
 * A result that is there while no connection is attached goes out with the next one that is.
 */
export class SurfaceClient {
  private readonly calls = new RememberedCalls();
  /** By call; no more than calls are remembered. */
  private readonly unsent = new Map<string, ToolOutcome>();
  private readonly stop = new AbortController();
  private phase: Phase = { type: 'apart' };
  private sessionToken: string;
  private ended: Promise<SurfaceEnd> | null = null;

  constructor(private readonly options: SurfaceClientOptions) {
    this.sessionToken = options.token;
  }

  /** The session's credential, as it was renewed last. */
  get token(): string {
    return this.sessionToken;
  }

  private hasLeft(): boolean {
    return this.stop.signal.aborted;
  }

  /** Begins, once. Resolves when the surface will not return any more. */
  run(): Promise<SurfaceEnd> {
    this.ended ??= this.stay();
    return this.ended;
  }

  /** Detaches, and ends the calls under way. Resolves when the connection is closed. */
  async leave(): Promise<void> {
    this.stop.abort();
    const { phase } = this;
    if (phase.type === 'attached') this.send(phase.socket, { type: 'DETACH' });
    else if (phase.type === 'connecting') phase.socket.terminate();
    if (this.ended === null) return;
    if ((await within(this.ended, DETACH_MS)) === 'late' && phase.type !== 'apart')
      phase.socket.terminate();
    await this.ended;
  }

  private async stay(): Promise<SurfaceEnd> {
    let failures = 0;
    while (!this.hasLeft()) {
      const { code, problem, wasAttached } = await this.connect();
      if (this.hasLeft()) break;
      const verdict = closeVerdict(code);
      if (verdict.type === 'end') {
        this.stop.abort();
        return verdict;
      }
      this.options.listener.onLost(problem);
      failures = wasAttached ? 1 : failures + 1;
      await backOff(failures, this.stop.signal, this.options.backOff ?? verdict.backOff);
    }
    return { exitCode: 0, why: 'Detached.' };
  }

  /** One connection, from its beginning to its end. */
  private connect(): Promise<Closed> {
    const { url, sessionId, context } = this.options;
    const address = `${url.replace(/^http/, 'ws')}/v1/sbp/ws/${sessionId}`;
    const socket = new WebSocket(address, { handshakeTimeout: OPEN_MS });
    this.phase = { type: 'connecting', socket };
    const silence = new Silence(SILENT_MS, () => socket.terminate());
    let problem = '';
    socket.on('open', () => {
      const attach: AttachSession = {
        type: 'ATTACH_SESSION',
        session_id: sessionId,
        session_token: this.sessionToken,
        surface_context: context,
      };
      this.send(socket, attach);
    });
    socket.on('ping', () => silence.heard());
    socket.on('message', (data, isBinary) => {
      silence.heard();
      if (!isBinary && Buffer.isBuffer(data)) this.receive(socket, data.toString());
    });
    socket.on('error', (error: NodeJS.ErrnoException) => {
      problem = error.code ?? error.message;
    });
    return new Promise((resolve) => {
      socket.on('close', (code, reason) => {
        silence.end();
        const wasAttached = this.phase.type === 'attached';
        this.phase = { type: 'apart' };
        const said = [String(code), reason.toString(), problem].filter((part) => part !== '');
        resolve({ code, problem: said.join(' '), wasAttached });
      });
    });
  }

  private receive(socket: WebSocket, data: string): void {
    // After DETACH nothing more is shown or done.
    if (this.hasLeft()) return;
    const json = parse(data);
    const parsed = ServerFrame.safeParse(json);
    // What a later server may send, and this client does not know, is no reason to leave.
    if (!parsed.success) return;
    const frame = parsed.data;
    this.options.listener.onFrame(frame, json as JsonObject);
    switch (frame.type) {
      case 'SESSION_ATTACHED':
        this.sessionToken = frame.session_token;
        this.phase = { type: 'attached', socket };
        this.sendResults();
        break;
      case 'PING':
        // Should this fail, the turns stay unacknowledged, and come again.
        void this.options.listener.shown().then(() => this.send(socket, { type: 'PONG' }));
        break;
      case 'TOOL_CALL':
        this.call(frame);
        break;
      default:
    }
  }

  private call({
    call_id: callId,
    tool_name: name,
    tool_input: input,
  }: Extract<ServerFrame, { type: 'TOOL_CALL' }>): void {
    // Its result goes out when it is there.
    if (this.calls.isRunning(callId)) return;
    const { tools } = this.options;
    const make = () => tools.run(name, input, this.stop.signal);
    // A toolbox never rejects.
    void this.calls.outcome(callId, make).then((outcome) => {
      this.unsent.set(callId, outcome);
      this.sendResults();
    });
  }

  private sendResults(): void {
    const { phase } = this;
    if (phase.type !== 'attached' || this.hasLeft()) return;
    for (const [callId, outcome] of this.unsent) {
      const came = outcome.type === 'error' ? { error: outcome.error } : { result: outcome.result };
      this.send(phase.socket, { type: 'TOOL_RESULT', call_id: callId, ...came });
    }
    this.unsent.clear();
  }

  private send(socket: WebSocket, frame: ClientFrame): void {
    if (socket.readyState === WebSocket.OPEN) socket.send(JSON.stringify(frame));
  }
}

function parse(data: string): unknown {
  try {
    return JSON.parse(data);
  } catch {
    return null;
  }
}
