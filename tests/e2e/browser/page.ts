/**
 * The script of a page that uses the server in a browser. It is told by its own address what to do,
 * and tells what it saw to the server that the page came from.
 */
import OpenAI from 'openai';

type Told = Readonly<Record<string, unknown>>;

const order = Object.fromEntries(new URL(import.meta.url).searchParams);
const { url = '', agent = '', deed = '' } = order;

const openai = new OpenAI({
  baseURL: `${url}/v1`,
  apiKey: 'sk-of-nobody',
  defaultHeaders: { 'X-Agent-ID': agent },
  dangerouslyAllowBrowser: true,
  maxRetries: 0,
});

const asking = (content: string, sbp: object = {}) => ({
  model: 'gpt-4o',
  messages: [{ role: 'user' as const, content }],
  sbp,
});

const DEEDS: Readonly<Record<string, () => Promise<Told>>> = {
  /** A plain answer, a stream, and an error, by OpenAI's client. */
  async client() {
    const { data: plain, response } = await openai.chat.completions
      .create(asking('Hello.'))
      .withResponse();
    let streamed = '';
    const stream = await openai.chat.completions.create({ ...asking('Go on.'), stream: true });
    for await (const chunk of stream) streamed += chunk.choices[0]?.delta.content ?? '';
    const error: unknown = await openai.chat.completions
      .create(asking('Hello?', { session_id: '00000000-0000-4000-8000-000000000000' }))
      .catch((thrown: unknown) => thrown);
    return {
      plain: plain.choices[0]?.message.content,
      streamed,
      session_id: response.headers.get('x-sbp-session-id'),
      isNotFound: error instanceof OpenAI.NotFoundError,
    };
  },

  /** A turn read by OpenAI's client and, over a connection that breaks, by `EventSource`. */
  async eventSource() {
    const { data: stream, response } = await openai.chat.completions
      .create({ ...asking(order['content'] ?? ''), stream: true })
      .withResponse();
    const session_id = response.headers.get('x-sbp-session-id') ?? '';
    const session = await fetch(`${url}/v1/sbp/sessions/${session_id}`);
    const { turn_in_flight: turn } = (await session.json()) as { turn_in_flight: string };
    const reading = read(
      `${order['relay'] ?? ''}/v1/sbp/sessions/${session_id}/turns/${turn}/stream`,
    );
    let streamed = '';
    for await (const chunk of stream) streamed += chunk.choices[0]?.delta.content ?? '';
    return { session_id, streamed, ...(await reading) };
  },
};

/** Reads a stream of a turn to its end; the browser connects again by itself. */
function read(address: string): Promise<{ readonly read: string; readonly opened: number }> {
  return new Promise((resolve, reject) => {
    const source = new EventSource(address);
    let text = '';
    let opened = 0;
    source.addEventListener('open', () => {
      opened += 1;
    });
    source.addEventListener('error', () => {
      if (source.readyState === source.CLOSED) reject(new Error('the browser gave up reading'));
    });
    source.addEventListener('message', (event) => {
      const data = String(event.data);
      if (data === '[DONE]') {
        source.close();
        resolve({ read: text, opened });
        return;
      }
      const chunk = JSON.parse(data) as OpenAI.ChatCompletionChunk;
      text += chunk.choices[0]?.delta.content ?? '';
    });
  });
}

const told = await DEEDS[deed]?.().catch((error: unknown) => ({ error: String(error) }));
await fetch('/told', { method: 'POST', body: JSON.stringify(told) });
