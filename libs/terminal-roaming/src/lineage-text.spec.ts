import { describe, expect, it } from 'vitest';
import type { LineageResponse } from '#libs/protocol';
import { lineageText } from './lineage-text.js';

const AT = '2026-05-10T15:05:00.000Z';
const alone = (session_id: string): LineageResponse => ({
  session_id,
  exports: [],
  outgoing_handoffs: [],
  incoming_handoffs: [],
  forks: [],
  origin: null,
});

const fork = (fork_session_id: string, fork_label: string | null, fork_point_step = 1) => ({
  ...{ fork_session_id, fork_label, fork_point_step, fork_point_msg: 2, created_at: AT },
});

const from = (type: 'fork' | 'import', session_id: string, server: string | null = null) => ({
  ...{ type, session_id, agent_id: 'a', export_id: null, server, created_at: AT },
});

const reading =
  (...family: readonly LineageResponse[]) =>
  (id: string) =>
    Promise.resolve(family.find(({ session_id }) => session_id === id) ?? alone(id));

describe('a lineage', () => {
  it('of a session without relatives is that session', async () => {
    expect(await lineageText('a', reading())).toBe('a ←\n');
  });

  it('is drawn from the oldest session on, and marks the one that was asked for', async () => {
    const used = {
      ...{ export_id: 'e', label: 'x', created_at: AT, expires_at: AT, bundle_cid: 'c' },
      ...{ message_count: 2, consumed: true, consumed_at: AT, revoked_at: null },
      ...{ imported_session_id: 'far', imported_by: 'https://there.example' },
    };
    const handed = {
      ...{ new_session_id: 'h', agent_id: 'b', export_id: null, created_at: AT },
      ...{ handoff_message: null, reason: null },
    };
    const family = reading(
      { ...alone('a'), exports: [used], outgoing_handoffs: [handed], forks: [fork('f', 'way')] },
      { ...alone('f'), origin: from('fork', 'a'), forks: [fork('g', null, 3)] },
      { ...alone('g'), origin: from('fork', 'f') },
    );
    expect(await lineageText('g', family)).toBe(
      [
        'a',
        '├─ import "x": far on https://there.example',
        '├─ handoff to "b": h',
        '└─ fork at step 1 "way": f',
        '   └─ fork at step 3: g ←',
        '',
      ].join('\n'),
    );
  });

  it('begins with the other server where the session comes from there', async () => {
    const family = reading({ ...alone('a'), origin: from('import', 'z', 'https://there.example') });
    expect(await lineageText('a', family)).toBe('z on https://there.example\n└─ import: a ←\n');
  });
});
