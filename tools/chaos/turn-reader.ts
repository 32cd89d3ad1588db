import { setTimeout as delay } from 'node:timers/promises';
import { createParser } from 'eventsource-parser';
import type { TurnRead } from './history.js';
import type { SessionAddress } from './session-reader.js';

/** How often a connection is made for one turn, and the pause between, in ms. */
const CONNECTIONS = 200;
const RETRY_MS = 400;

interface Reading {
  text: string;
  lastId: string | null;
  end: TurnRead['end'] | null;
}

/**
 * Reads a turn on as an EventSource does: it comes back with the last id that it has, until the
 * turn has ended.
 */
export async function readTurn(address: SessionAddress, turnId: string): Promise<TurnRead> {
  const reading: Reading = { text: '', lastId: null, end: null };
  for (let tries = 1; reading.end === null && tries <= CONNECTIONS; tries++) {
    if (tries > 1) await delay(RETRY_MS);
    await connect(address, turnId, reading).catch(() => undefined);
  }
  return { turnId, text: reading.text, end: reading.end ?? 'given up' };
}

async function connect(
  { url, id, token }: SessionAddress,
  turnId: string,
  reading: Reading,
): Promise<void> {
  const response = await fetch(`${url}/v1/sbp/sessions/${id}/turns/${turnId}/stream`, {
    headers: {
      'x-session-token': token,
      connection: 'close',
      ...(reading.lastId === null ? {} : { 'last-event-id': reading.lastId }),
    },
    signal: AbortSignal.timeout(30_000),
  });
  if (response.status !== 200 || response.body === null) return;
  const events = createParser({
    onEvent: ({ event, id: eventId, data }) => {
      if (event === 'reset') reading.text = '';
      else if (event === 'error') reading.end = 'error';
      else if (data === '[DONE]') reading.end = 'whole';
      else {
        reading.text += textOf(data);
        reading.lastId = eventId ?? reading.lastId;
      }
    },
  });
  for await (const text of response.body.pipeThrough(new TextDecoderStream())) events.feed(text);
}

interface Chunk {
  readonly choices: readonly { readonly delta: { readonly content?: string } }[];
}

function textOf(data: string): string {
  return (JSON.parse(data) as Chunk).choices[0]?.delta.content ?? '';
}
