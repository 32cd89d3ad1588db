import { Agent, request } from 'node:http';
import type { IncomingMessage } from 'node:http';
import { createParser } from 'eventsource-parser';
import type { CallOutcome, Reading } from './history.js';

export interface CompletionCall {
  readonly url: string;
  readonly agentId: string;
  /** Null where the caller names none. */
  readonly session: { readonly id: string; readonly token: string } | null;
  readonly message: string;
  /** More for its `sbp` object. */
  readonly sbp: object;
  /** Its `Idempotency-Key`; null for none. */
  readonly key: string | null;
  /** How often it was made before, as OpenAI's clients say it; null where that is not said. */
  readonly retryCount: number | null;
  readonly stream: boolean;
  readonly reading: Reading;
  /** Goes away by itself so many ms after it began; null: stays. */
  readonly vanishAfterMs: number | null;
}

export interface CompletionResult {
  readonly outcome: CallOutcome;
  /** What every later call and surface needs; null where the answer did not bring it. */
  readonly session: { readonly id: string; readonly token: string } | null;
  /** The calls of tools that wait for an approval, where its turn was parked. */
  readonly undecided: readonly string[];
}

/** Longer than any caller may have to wait: 60 s for a busy session, and its turn's own time. */
const PATIENCE_MS = 90_000;

interface Sbp {
  readonly session_id: string;
  readonly session_token: string;
  readonly turn_id: string;
  readonly step_count: number;
}

/** No connection is used twice: one that died under a request would look like a broken call. */
const agent = new Agent({ keepAlive: false });

/**
 * Makes one tracked call, and tells what its caller knows when it is over. It never repeats
 * anything.
 */
export function complete(call: CompletionCall): Promise<CompletionResult> {
  const { session, stream } = call;
  const body = JSON.stringify({
    model: 'demo',
    stream,
    messages: [{ role: 'user', content: call.message }],
    sbp: { ...call.sbp, ...(session === null ? {} : { session_id: session.id }) },
  });
  return new Promise((resolve) => {
    let answer: Answer | null = null;
    let isSent = false;
    const ended = (type: 'closed' | 'vanished' | 'forgotten'): void => {
      clearTimeout(vanish);
      clearTimeout(patience);
      const { session = null, undecided = [] } = answer ?? {};
      resolve({ outcome: outcomeOf(type, answer, isSent), session, undecided });
      outgoing.destroy();
    };
    const outgoing = request(`${call.url}/v1/chat/completions`, {
      method: 'POST',
      agent,
      headers: {
        'content-type': 'application/json',
        'content-length': Buffer.byteLength(body),
        'x-agent-id': call.agentId,
        ...(call.key === null ? {} : { 'idempotency-key': call.key }),
        ...(call.retryCount === null ? {} : { 'x-stainless-retry-count': String(call.retryCount) }),
        ...(session === null ? {} : { 'x-session-token': session.token }),
      },
    });
    const vanish =
      call.vanishAfterMs === null
        ? undefined
        : setTimeout(() => ended('vanished'), call.vanishAfterMs);
    const patience = setTimeout(() => ended('forgotten'), PATIENCE_MS);
    outgoing.on('socket', (socket) => socket.once('connect', () => (isSent = true)));
    outgoing.on('response', (incoming) => {
      answer = new Answer(incoming, stream);
      readAs(call.reading, incoming);
      incoming.on('close', () => ended('closed'));
    });
    outgoing.on('error', () => ended('closed'));
    outgoing.end(body);
  });
}

function outcomeOf(
  ended: 'closed' | 'vanished' | 'forgotten',
  answer: Answer | null,
  isSent: boolean,
): CallOutcome {
  if (ended !== 'closed') return { type: ended };
  if (answer !== null) return answer.outcome();
  return isSent ? { type: 'broken', told: null, begun: false } : { type: 'unreached' };
}

/** A stalling reader stops for so long: longer than a server waits for a reader, in ms. */
const STALL_MS = 40_000;
/** A steady one reads so many characters, and rests so long, in ms. */
const STEADY = { read: 32 * 1024, restMs: 50 };

/**
 * Slows the reading of an answer down: of its connection, because what the answer keeps is lost
 * when that breaks, and the last bytes may say why it does.
 */
function readAs(reading: Reading, incoming: IncomingMessage): void {
  const { socket } = incoming;
  const rest = (ms: number): void => {
    socket.pause();
    setTimeout(() => socket.resume(), ms).unref();
  };
  if (reading === 'stalling') incoming.once('data', () => rest(STALL_MS));
  if (reading !== 'steadily') return;
  let read = 0;
  incoming.on('data', (text: string) => {
    read += text.length;
    if (read < STEADY.read) return;
    read = 0;
    rest(STEADY.restMs);
  });
}

/** An answer as it comes in. */
class Answer {
  private sbp: Sbp | null = null;
  private text = '';
  private finished = false;
  private done = false;
  /** What a parked turn waits for. */
  private parked: Parked | null = null;
  /** The code of the error that a stream says it breaks off for. */
  private told: string | null = null;
  private body = '';
  private readonly isStream: boolean;

  constructor(
    private readonly incoming: IncomingMessage,
    asksForStream: boolean,
  ) {
    const type = incoming.headers['content-type'] ?? '';
    this.isStream = asksForStream && type.startsWith('text/event-stream');
    const events = createParser({ onEvent: ({ event, data }) => this.event(event, data) });
    incoming.setEncoding('utf8');
    incoming.on('data', (text: string) => {
      if (this.isStream) events.feed(text);
      else this.body += text;
    });
    // A connection that fails closes too.
    incoming.on('error', () => undefined);
  }

  get session(): { readonly id: string; readonly token: string } | null {
    const { 'x-sbp-session-id': id, 'x-session-token': token } = this.incoming.headers;
    return typeof id === 'string' && typeof token === 'string' ? { id, token } : null;
  }

  get undecided(): readonly string[] {
    const parked = this.parked ?? (this.isStream ? null : this.whole()?.sbp);
    const calls = parked?.pending_calls ?? [];
    return calls.filter((call) => call.waits_for === 'approval').map(({ call_id: id }) => id);
  }

  outcome(): CallOutcome {
    const { complete: isWhole, statusCode: status = 0 } = this.incoming;
    if (this.isStream) {
      if (this.done && this.sbp !== null) return answered(this.sbp, this.text);
      const { told, parked, session } = this;
      if (parked !== null && session !== null) {
        return { type: 'accepted', sessionId: session.id, turnId: parked.turn_id };
      }
      return this.finished
        ? { type: 'finished', text: this.text, told }
        : { type: 'broken', told, begun: true };
    }
    if (!isWhole) return { type: 'broken', told: null, begun: true };
    const body = this.whole() ?? {};
    const mayRetry = this.incoming.headers['x-should-retry'] !== 'false';
    const refused = { type: 'refused', status, mayRetry } as const;
    if (status === 202 && body.sbp !== undefined) {
      return { type: 'accepted', sessionId: body.sbp.session_id, turnId: body.sbp.turn_id };
    }
    if (status !== 200) return { ...refused, code: body.error?.code ?? null };
    if (body.sbp === undefined) return { ...refused, code: 'no sbp in the answer' };
    return answered(body.sbp, body.choices?.[0]?.message?.content ?? '');
  }

  private whole(): WholeBody | null {
    return this.incoming.complete ? (JSON.parse(this.body) as WholeBody) : null;
  }

  private event(name: string | undefined, data: string): void {
    if (name === 'error') {
      const { error } = JSON.parse(data) as WholeBody;
      this.told = error?.code ?? 'unnamed';
      if (this.told === 'SBP_TURN_PENDING') this.parked = error?.detail ?? null;
      return;
    }
    if (data === '[DONE]') {
      this.done = true;
      return;
    }
    const chunk = JSON.parse(data) as ChunkBody;
    const [choice] = chunk.choices;
    this.text += choice?.delta?.content ?? '';
    this.finished ||= typeof choice?.finish_reason === 'string';
    this.sbp = chunk.sbp ?? this.sbp;
  }
}

interface WholeBody {
  readonly choices?: readonly { readonly message?: { readonly content?: string } }[];
  readonly sbp?: Sbp & Partial<Parked>;
  readonly error?: { readonly code?: string; readonly detail?: Parked };
}

interface Parked {
  readonly turn_id: string;
  readonly pending_calls: readonly { readonly call_id: string; readonly waits_for: string }[];
}

interface ChunkBody {
  readonly choices: readonly {
    readonly delta?: { readonly content?: string };
    readonly finish_reason?: string | null;
  }[];
  readonly sbp?: Sbp;
}

function answered(sbp: Sbp, text: string): CallOutcome {
  return {
    type: 'answered',
    sessionId: sbp.session_id,
    turnId: sbp.turn_id,
    text,
    stepCount: sbp.step_count,
  };
}

/** Reads JSON; null for any failure and any status but 200. */
export async function readJson(url: string, token: string | null): Promise<unknown> {
  const response = await fetch(url, {
    headers: { ...(token === null ? {} : { 'x-session-token': token }), connection: 'close' },
    signal: AbortSignal.timeout(20_000),
  }).catch(() => null);
  if (response?.status !== 200) return null;
  return response.json().catch(() => null);
}
