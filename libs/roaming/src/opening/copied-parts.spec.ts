import { describe, expect, it } from 'vitest';
import type { CopiedPart } from '#libs/domain';
import { messageBytes } from '#libs/domain';
import type { BundleMessage, Message, RestoredParts } from '#libs/protocol';
import { copiedParts } from './copied-parts.js';

const about = { model_used: 'm', cost_usd: null, created_at: '2026-05-10T15:05:00.000Z' };
const message = (role: Message['role'], content: string): Message => ({ role, content });

async function partsOf(messages: readonly Message[]) {
  const all: BundleMessage[] = messages.map((each) => ({ ...each, ...about }));
  const source = async function* () {
    for (const each of all) yield await Promise.resolve(each);
  };
  const copying = copiedParts({ messages: source(), steps: 3, costUsd: null });
  const parts: CopiedPart[] = [];
  for (;;) {
    const next: IteratorResult<CopiedPart, RestoredParts> = await copying.next();
    if (next.done === true) return { parts, whole: next.value };
    parts.push(next.value);
  }
}

describe('a conversation that is copied', () => {
  it('is in parts of about a megabyte, in order, and each says where it stands', async () => {
    const long = 'x'.repeat(400_000);
    const messages = Array.from({ length: 6 }, (_, at) => message('user', `${at}${long}`));
    const { parts, whole } = await partsOf(messages);
    expect(parts.map(({ data }) => [data.part, data.first_index, data.message_count])).toEqual([
      [1, 0, 2],
      [2, 2, 2],
      [3, 4, 2],
    ]);
    expect(parts.flatMap((part) => part.messages)).toEqual(messages);
    expect(whole).toMatchObject({ parts: 3, message_count: 6, step_count: 3, has_system: false });
  });

  it('has a message of its own part where that is larger', async () => {
    const { parts } = await partsOf([
      message('user', 'a'),
      message('assistant', 'x'.repeat(3_000_000)),
      message('user', 'b'),
    ]);
    expect(parts.map(({ data }) => data.message_count)).toEqual([1, 1, 1]);
  });

  it('has the system messages at its beginning outside of it, and later ones in it', async () => {
    const [first, second] = [message('system', 'Be brief.'), message('developer', 'And kind.')];
    const rest = [message('user', 'a'), message('system', 'Note.')];
    const { parts, whole } = await partsOf([first, second, ...rest]);
    expect(parts).toMatchObject([{ system: [first, second], messages: rest, data: { part: 1 } }]);
    expect(parts[0]?.about).toEqual([about, about]);
    expect(whole).toMatchObject({ parts: 1, message_count: 2, has_system: true });
    expect(whole.bytes).toBeGreaterThanOrEqual(messageBytes([first, second, ...rest]));
  });

  it('of system messages alone is one part, and of nothing none', async () => {
    const system = await partsOf([message('system', 'Be brief.')]);
    expect(system.parts).toMatchObject([{ messages: [], system: [{ role: 'system' }] }]);
    expect(await partsOf([])).toMatchObject({ parts: [], whole: { parts: 0, message_count: 0 } });
  });
});
