import { execFile } from 'node:child_process';
import { setTimeout as delay } from 'node:timers/promises';
import { promisify } from 'node:util';
import type { AuditResponse, UsageResponse } from '#libs/protocol';
import type { ConversationHistory, Kept } from './history.js';
import { checkKept } from './history-kept.js';
import { readJson } from './http-caller.js';

const run = promisify(execFile);

/** How long the consumers of the log may be behind once nothing is killed any more, in ms. */
const REST_MS = 60_000;
const RETRY_MS = 500;
const NO_TURNS: Kept['usage'] = { completed: 0, failed: 0, cancelled: 0 };

/**
 * The conversations with what the consumers of the log keep of them. What they do not have when the
 * time is over is found as it is, for the checker to judge.
 */
export async function withKept(
  conversations: readonly ConversationHistory[],
  url: string,
): Promise<readonly ConversationHistory[]> {
  const deadline = Date.now() + REST_MS;
  for (;;) {
    const usage = await readUsage(url);
    const found: ConversationHistory[] = [];
    for (const conversation of conversations) {
      const trail = await readTrail(url, conversation.sessionId);
      const kept = { usage: usage.get(conversation.name) ?? NO_TURNS, trail };
      found.push({ ...conversation, kept });
      // The others are asked when this one is as it should be.
      if (Date.now() < deadline && checkKept({ ...conversation, kept }).length > 0) break;
    }
    if (found.length === conversations.length) return found;
    await delay(RETRY_MS);
  }
}

async function readUsage(url: string): Promise<ReadonlyMap<string, Kept['usage']>> {
  const answer = await readJson(`${url}/v1/sbp/analytics/usage?group_by=agent`, null);
  const { rows = [] } = (answer ?? {}) as Partial<UsageResponse>;
  return new Map(rows.map(({ agent = '', turns }) => [agent, turns]));
}

async function readTrail(url: string, sessionId: string): Promise<Kept['trail']> {
  const found: Kept['trail'][number][] = [];
  for (let after: string | null = ''; after !== null;) {
    const more: string = after === '' ? '' : `&after=${after}`;
    const query = `session_id=${sessionId}&limit=1000${more}`;
    const page = (await readJson(`${url}/v1/sbp/audit?${query}`, null)) as AuditResponse | null;
    if (page === null) break;
    for (const { partition, offset, type, turn_id: turnId } of page.records)
      found.push({ place: `${partition}:${offset}`, type, turnId });
    after = page.next_after;
  }
  return found;
}

/**
 * What `sbp-server audit verify --from-log` has against the trail of an installation; null:
 * nothing. `program`: the built `sbp-server`.
 */
export async function damageOfTrail(
  program: string,
  settings: NodeJS.ProcessEnv,
): Promise<string | null> {
  try {
    await run(process.execPath, [program, 'audit', 'verify', '--from-log'], {
      env: { ...process.env, ...settings },
    });
    return null;
  } catch (error) {
    const { stdout = '', stderr = '' } = error as { stdout?: string; stderr?: string };
    return `${stdout}${stderr}`.trim() || String(error);
  }
}
