import type { ServerResponse } from 'node:http';
import type { ModelResponse } from '#libs/llm';
import type { JsonObject, SbpError } from '#libs/protocol';
import { HEADERS } from '#libs/protocol';
import { currentRequest } from '#libs/telemetry';
import { beginResponse } from './begin-response.js';
import { sseEvent } from './sse-event.js';
import type { Caller, SessionHeaders } from './caller.js';
import type { Patience } from './patient-writer.js';
import { PATIENCE, PatientWriter } from './patient-writer.js';

/** Headers of the model's answer that describe its own body, or connection. */
const OWN = new Set([
  'content-length',
  'content-type',
  'content-encoding',
  'transfer-encoding',
  'connection',
  'date',
]);

/**
 * The caller behind a Node HTTP response; the framework has handed it over. One that reads too
 * slowly is cut off: from then on it counts as gone, and its turn becomes owed to a surface.
 */
export class HttpCaller implements Caller {
  private readonly goneListeners = new Set<() => void>();
  private readonly writer: PatientWriter;
  private gone = false;

  constructor(
    private readonly response: ServerResponse,
    /** Headers that the framework had prepared. */
    private readonly prepared: Readonly<Record<string, string>>,
    patience: Patience = PATIENCE,
  ) {
    this.writer = new PatientWriter(response, patience, () => this.leave());
    response.on('close', () => {
      if (!response.writableFinished) this.leave();
    });
    // An error of a connection is followed by its `close`.
    response.on('error', () => undefined);
    this.gone = response.destroyed;
  }

  get connected(): boolean {
    return !this.gone;
  }

  get answered(): boolean {
    return this.response.headersSent;
  }

  onGone(listener: () => void): void {
    this.goneListeners.add(listener);
  }

  begin(head: ModelResponse, session: SessionHeaders): void {
    if (this.gone) return;
    beginResponse(this.response, 200, {
      ...this.headers(head, session),
      'content-type': 'text/event-stream; charset=utf-8',
      'cache-control': 'no-cache',
      'x-accel-buffering': 'no',
    });
  }

  chunk(data: string, id: string): void {
    if (!this.gone) this.writer.stream(sseEvent(data, id));
  }

  async done(): Promise<boolean> {
    return this.finish('data: [DONE]\n\n', 'end');
  }

  async answer(head: ModelResponse, session: SessionHeaders, body: JsonObject): Promise<boolean> {
    return this.whole(head.status, this.headers(head, session), JSON.stringify(body));
  }

  async relay(head: ModelResponse, session: SessionHeaders, body: Uint8Array): Promise<boolean> {
    const type = head.headers['content-type'] ?? 'application/json';
    return this.whole(head.status, this.headers(head, session), Buffer.from(body), type);
  }

  async fail(error: SbpError, session: SessionHeaders | null): Promise<boolean> {
    const text = JSON.stringify(error.body('completions', currentRequest()?.requestId));
    if (!this.response.headersSent) {
      return this.whole(
        error.status('completions'),
        { ...sessionHeaders(session), ...error.headers() },
        text,
      );
    }
    // A stream that cannot be finished breaks off: it must not look complete.
    return this.finish(`event: error\ndata: ${text}\n\n`, 'break');
  }

  private async whole(
    status: number,
    headers: Readonly<Record<string, string>>,
    body: string | Buffer,
    type = 'application/json; charset=utf-8',
  ): Promise<boolean> {
    if (this.gone) return false;
    this.response.writeHead(status, {
      ...this.prepared,
      ...headers,
      'content-type': type,
      'content-length': String(Buffer.byteLength(body)),
    });
    return this.finish(body, 'end');
  }

  private async finish(last: string | Buffer, then: 'end' | 'break'): Promise<boolean> {
    if (this.gone) return false;
    return new Promise((resolve) => {
      this.onGone(() => resolve(false));
      void this.writer.finish(last, then).then(resolve);
    });
  }

  private leave(): void {
    if (this.gone) return;
    this.gone = true;
    for (const listener of this.goneListeners) listener();
  }

  private headers(head: ModelResponse, session: SessionHeaders): Record<string, string> {
    const passed = Object.entries(head.headers).filter(([name]) => !OWN.has(name));
    return { ...Object.fromEntries(passed), ...this.prepared, ...sessionHeaders(session) };
  }
}

/**
 * Only what has started has a session: a client must not send that again by itself, whatever the
 * answer says.
 */
function sessionHeaders(session: SessionHeaders | null): Record<string, string> {
  if (session === null) return {};
  return {
    [HEADERS.sessionToken]: session.sessionToken,
    [HEADERS.sessionId]: session.sessionId,
    'x-should-retry': 'false',
  };
}
