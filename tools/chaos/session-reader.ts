import type {
  CancelResponse,
  Message,
  MessagesResponse,
  SessionResponse,
  TurnsResponse,
} from '#libs/protocol';
import type { Cancellation, Found, FoundMessage } from './history.js';
import { readJson } from './http-caller.js';

export interface SessionAddress {
  readonly url: string;
  readonly id: string;
  readonly token: string;
}

/** The session as its API shows it; null while it cannot be read. */
export async function readSession({
  url,
  id,
  token,
}: SessionAddress): Promise<SessionResponse | null> {
  return (await readJson(`${url}/v1/sbp/sessions/${id}`, token)) as SessionResponse | null;
}

/** All messages of the session; null while they cannot be read. */
export async function readMessages({
  url,
  id,
  token,
}: SessionAddress): Promise<readonly FoundMessage[] | null> {
  const found: FoundMessage[] = [];
  for (let after = ''; ;) {
    const page = (await readJson(
      `${url}/v1/sbp/sessions/${id}/messages?limit=500${after}`,
      token,
    )) as MessagesResponse | null;
    if (page === null) return null;
    for (const { turn_id: turnId, role, content, created_at: createdAt } of page.messages) {
      found.push({
        turnId,
        role,
        text: textOf(content as Message['content']),
        createdAt: Date.parse(createdAt),
      });
    }
    if (page.next_cursor === null) return found;
    after = `&after=${page.next_cursor}`;
  }
}

/** All turns of the session; null while they cannot be read. */
export async function readTurns({
  url,
  id,
  token,
}: SessionAddress): Promise<Found['turns'] | null> {
  const found: { readonly turnId: string; readonly status: string }[] = [];
  for (let after = 0; ;) {
    const page = (await readJson(
      `${url}/v1/sbp/sessions/${id}/turns?limit=100&after=${after}`,
      token,
    )) as TurnsResponse | null;
    if (page === null) return null;
    found.push(...page.turns.map(({ turn_id: turnId, status }) => ({ turnId, status })));
    if (page.next_cursor === null) return found;
    after = page.next_cursor;
  }
}

/** Stops whatever turn runs in the session; null where that is not known to have happened. */
export async function cancelTurn({
  url,
  id,
  token,
}: SessionAddress): Promise<Cancellation['told']> {
  const response = await fetch(`${url}/v1/sbp/sessions/${id}/cancel`, {
    method: 'POST',
    headers: { 'x-session-token': token, connection: 'close' },
    signal: AbortSignal.timeout(20_000),
  }).catch(() => null);
  if (response?.status !== 202) return null;
  const told = (await response.json().catch(() => null)) as CancelResponse | null;
  return told === null ? null : { turnId: told.turn_id, status: told.status };
}

/** Decides about a call of a tool; whether an answer came that says that it is decided. */
export async function decideCall(
  { url, id, token }: SessionAddress,
  callId: string,
  approve: boolean,
): Promise<boolean> {
  const response = await fetch(`${url}/v1/sbp/sessions/${id}/approvals/${callId}`, {
    method: 'POST',
    headers: {
      'x-session-token': token,
      'content-type': 'application/json',
      connection: 'close',
    },
    body: JSON.stringify({ approve }),
    signal: AbortSignal.timeout(20_000),
  }).catch(() => null);
  await response?.body?.cancel();
  return response !== null && [202, 404, 409].includes(response.status);
}

function textOf(content: Message['content']): string {
  return typeof content === 'string' ? content : JSON.stringify(content);
}
