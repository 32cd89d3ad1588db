import type { FoldedEventOf } from '#libs/protocol';
import type { Change } from '../changes.js';

/**
 * What has become of an export. Exports are folded beside their session, each by itself, because
 * a session may have any number of them, and its state is bounded [A11].
 */
export type ExportFate =
  | { readonly type: 'open' }
  | {
      readonly type: 'consumed';
      readonly importId: string;
      readonly successor: string;
      /** The public URL of the server that has imported it; null for this one. */
      readonly server: string | null;
      readonly at: string;
    }
  | { readonly type: 'revoked'; readonly at: string };

type FateEvent = FoldedEventOf<'export.consumed' | 'export.revoked'>;

/** The first that uses or revokes an export counts; null for all others [A17]. */
export function settleExport(
  fate: ExportFate,
  event: FateEvent,
): { readonly fate: ExportFate; readonly changes: readonly Change[] } | null {
  if (fate.type !== 'open') return null;
  const { occurred_at: at } = event;
  if (event.type === 'export.revoked') return { fate: { type: 'revoked', at }, changes: [] };
  const { data } = event;
  const { import_id: importId, successor, server, maker } = data;
  return {
    fate: { type: 'consumed', importId, successor, server, at },
    // Another server keeps its own promises.
    changes:
      maker === null
        ? []
        : [
            {
              type: 'session-promised',
              ...{ successor, source: event.session_id, data, maker, by: 'import', at },
            },
          ],
  };
}
