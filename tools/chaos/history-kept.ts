import type { ConversationHistory, Kept, Violation } from './history.js';

/**
 * The events that end a turn, by the status that it has then. What an interruption ends has no
 * event of its own for it, only its beginning.
 */
const ENDS: Readonly<Record<keyof Kept['usage'], readonly string[]>> = {
  completed: ['turn.completed'],
  failed: ['turn.failed', 'turn.withdrawn'],
  cancelled: ['turn.cancelled', 'turn.withdrawn', 'turn.queued', 'turn.started'],
};
const STATUSES = Object.keys(ENDS) as readonly (keyof Kept['usage'])[];

/**
 * The audit trail has the end of each turn, and each record once; usage counts each turn once, by
 * how it ended.
 */
export function checkKept({ name, found, kept }: ConversationHistory): readonly Violation[] {
  if (kept === null) return [];
  const { usage, trail } = kept;
  const details = STATUSES.flatMap((status) => {
    const turns = found.turns.filter((turn) => turn.status === status);
    const missing = turns.filter(
      ({ turnId }) =>
        !trail.some((record) => record.turnId === turnId && ENDS[status].includes(record.type)),
    );
    return [
      ...missing.map(({ turnId }) => `turn ${turnId} is ${status}, and the audit trail has no end`),
      ...(usage[status] === turns.length
        ? []
        : [`usage counts ${usage[status]} turns as ${status}, and there are ${turns.length}`]),
    ];
  });
  const places = new Set(trail.map(({ place }) => place));
  if (places.size < trail.length) details.push('the audit trail has a record twice');
  return details.map((detail) => ({ rule: 'unkept', conversation: name, detail }));
}
