import { setTimeout as delay } from 'node:timers/promises';
import type { Conversation } from './conversation.js';
import type { Found } from './history.js';
import { isOwed } from './history-tether.js';
import { foundTurns } from './history-transcript.js';
import { readMessages, readSession, readTurns } from './session-reader.js';

/** How long a conversation has to come to rest once nothing is killed any more, in ms. */
const REST_MS = 90_000;
const RETRY_MS = 250;
/** How long a surface waits for what the log may still have for it, in ms. */
const DRAIN_MS = 3_000;

/**
 * Brings a conversation to rest and finds what is there in the end: every turn has ended, a surface
 * has taken all that it is owed and acknowledged it. What has not happened when the time is over is
 * found as it is, for the checker to judge.
 */
export async function close(conversation: Conversation, url: string): Promise<Found> {
  const deadline = Date.now() + REST_MS;
  while (conversation.session === null && Date.now() < deadline) {
    if ((await conversation.callOnce(false)).outcome.type !== 'answered') await delay(RETRY_MS);
  }
  if (conversation.session === null)
    return { messages: [], turns: [], turnInFlight: 'none answers', stepCount: 0, queuedTurns: 0 };
  const address = { url, ...conversation.session };
  for (;;) {
    const found = await find(address);
    const isLast = Date.now() > deadline;
    if (
      found !== null &&
      (isLast ||
        (found.turnInFlight === null && !isWaiting(found) && !isMissing(conversation, found)))
    ) {
      // A surface that comes once more finds nothing, unless something was still on its way.
      const before = conversation.connections.length;
      await takeAll(conversation);
      const after = await find(address);
      const gotMore = conversation.connections
        .slice(before)
        .some(({ events }) =>
          events.some((event) => event.type === 'received' && event.frame.type === 'TETHER_TURN'),
        );
      if (after !== null && (isLast || !gotMore)) return after;
    } else if (found?.turnInFlight === null) {
      await takeAll(conversation);
    }
    if (isLast && Date.now() > deadline + REST_MS)
      throw new Error(`session ${address.id} cannot be read`);
    await delay(RETRY_MS);
  }
}

async function find(address: { url: string; id: string; token: string }): Promise<Found | null> {
  const messages = await readMessages(address);
  const turns = await readTurns(address);
  const session = await readSession(address);
  if (messages === null || turns === null || session === null) return null;
  const {
    turn_in_flight: turnInFlight,
    step_count: stepCount,
    queued_turns: queuedTurns,
  } = session;
  return { messages, turns, turnInFlight, stepCount, queuedTurns };
}

/** Whether a turn has not begun yet. */
function isWaiting({ turns }: Found): boolean {
  return turns.some(({ status }) => status === 'queued');
}

/** Whether a surface is owed a turn that none was given yet. */
function isMissing(conversation: Conversation, found: Found): boolean {
  const given = new Set(
    conversation.connections.flatMap(({ events }) =>
      events.flatMap(({ frame }) =>
        typeof frame !== 'string' &&
        (frame.type === 'TETHER_TURN' || frame.type === 'TURN_COMPLETE')
          ? [frame.turn_id]
          : [],
      ),
    ),
  );
  const history = conversation.history({ acknowledged: [], found });
  const missing = foundTurns(history).some(
    (turn) => !given.has(turn.turnId) && isOwed(turn, conversation.firstAttachedAt),
  );
  return missing || found.queuedTurns > 0;
}

/** Attaches, takes what is owed, acknowledges it and leaves. */
async function takeAll(conversation: Conversation): Promise<void> {
  const surface = await conversation.attach(0);
  if (surface === null) return;
  await surface.until(() => surface.isDrained, DRAIN_MS);
  await surface.detach();
}
