import type { LineageResponse } from '#libs/protocol';

/** Sessions that are drawn; a larger family is cut. */
const MOST = 500;

/** A session that was made from another one. */
interface Child {
  readonly id: string;
  readonly how: string;
  /** The server that has it, where that is another one. */
  readonly server: string | null;
}

/**
 * The family of a session as a tree, from the oldest session that this server knows; the session
 * itself is marked. `read`: what the server says of one.
 */
export async function lineageText(
  sessionId: string,
  read: (id: string) => Promise<LineageResponse>,
): Promise<string> {
  const root = await rootOf(sessionId, read);
  const lines = [...(root.above === null ? [] : [root.above])];
  const seen = new Set<string>();
  const draw = async (id: string, text: string, indent: string, below: string): Promise<void> => {
    const mark = id === sessionId ? ' ←' : '';
    lines.push(`${indent}${text}${mark}`);
    if (seen.has(id) || seen.size >= MOST) return;
    seen.add(id);
    const children = childrenOf(await read(id));
    for (const [at, child] of children.entries()) {
      const isLast = at === children.length - 1;
      const branch = `${below}${isLast ? '└─ ' : '├─ '}`;
      const next = `${below}${isLast ? '   ' : '│  '}`;
      const where = child.server === null ? '' : ` on ${child.server}`;
      const line = `${child.how}: ${child.id}${where}`;
      if (child.server === null) await draw(child.id, line, branch, next);
      else lines.push(`${branch}${line}`);
    }
  };
  const isBelow = root.above !== null;
  await draw(root.id, root.text, isBelow ? '└─ ' : '', isBelow ? '   ' : '');
  return `${lines.join('\n')}\n`;
}

async function rootOf(
  sessionId: string,
  read: (id: string) => Promise<LineageResponse>,
): Promise<{ readonly id: string; readonly text: string; readonly above: string | null }> {
  let id = sessionId;
  for (let steps = 0; steps < MOST; steps++) {
    const { origin } = await read(id);
    if (origin === null) break;
    if (origin.server !== null) {
      const above = `${origin.session_id} on ${origin.server}`;
      return { id, text: `${origin.type}: ${id}`, above };
    }
    id = origin.session_id;
  }
  return { id, text: id, above: null };
}

function childrenOf({ exports, outgoing_handoffs, forks }: LineageResponse): readonly Child[] {
  const imported = exports.flatMap((each): readonly Child[] => {
    const { imported_session_id: id, imported_by: server, label } = each;
    return id === null ? [] : [{ id, how: named('import', label), server }];
  });
  const handed = outgoing_handoffs.map(({ new_session_id: id, agent_id: agent }): Child => {
    return { id, how: `handoff to ${JSON.stringify(agent)}`, server: null };
  });
  const forked = forks.map((each): Child => {
    const { fork_session_id: id, fork_label: label, fork_point_step: step } = each;
    return { id, how: named(`fork at step ${step}`, label), server: null };
  });
  return [...imported, ...handed, ...forked];
}

function named(how: string, label: string | null): string {
  return label === null ? how : `${how} ${JSON.stringify(label)}`;
}
