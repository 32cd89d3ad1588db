import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import type { ProcessAddress } from '#libs/protocol';
import type { MailboxMessage } from './messages.js';
import type { Mailbox } from './ports/mailbox.js';
import { MAX_WAITING } from './ports/mailbox.js';

export interface MailboxesUnderTest {
  /** What two processes have; one and the same where they are one process. */
  readonly sender: Mailbox;
  readonly receiver: Mailbox;
  close(): Promise<void>;
}

const WAIT = { timeout: 30_000, interval: 5 };

/** What every adapter of `Mailbox` promises. */
export function describeMailbox(
  name: string,
  makeMailboxes: () => Promise<MailboxesUnderTest>,
): void {
  describe(`mailbox: ${name}`, () => {
    let mailboxes: MailboxesUnderTest;
    let slots = 0;

    beforeAll(async () => {
      mailboxes = await makeMailboxes();
    });

    afterAll(async () => {
      await mailboxes.close();
    });

    const newAddress = (slot = (slots += 1)): ProcessAddress => ({
      slot,
      incarnation: randomUUID(),
    });

    async function listen(
      address: ProcessAddress,
    ): Promise<{ got: MailboxMessage[]; close: () => Promise<void> }> {
      const got: MailboxMessage[] = [];
      const inbox = await mailboxes.receiver.receive(address, (message) => got.push(message));
      return { got, close: () => inbox.close() };
    }

    it('hands over, in order, what is sent from the moment on when receiving has begun', async () => {
      const address = newAddress();
      const { got, close } = await listen(address);
      const sent = Array.from({ length: 500 }, (_, n) => live(n));
      await Promise.all(sent.map((message) => mailboxes.sender.send(address, message)));
      await vi.waitFor(() => expect(got).toHaveLength(sent.length), WAIT);
      expect(got).toEqual(sent);
      await close();
    });

    it('keeps the order of a sender that waits for each message', async () => {
      const address = newAddress();
      const { got, close } = await listen(address);
      const sent = Array.from({ length: 50 }, (_, n) => live(n));
      for (const message of sent) await mailboxes.sender.send(address, message);
      await vi.waitFor(() => expect(got).toEqual(sent), WAIT);
      await close();
    });

    it('carries every type of message unchanged, also a long text', async () => {
      const address = newAddress();
      const { got, close } = await listen(address);
      const sent: MailboxMessage[] = [
        { type: 'poke', session_id: randomUUID() },
        live(1, 'Grüße, 世界 🙂 \u2028'.repeat(50_000)),
        {
          type: 'watch',
          session_id: randomUUID(),
          turn_id: randomUUID(),
          epoch: 3,
          attach_id: randomUUID(),
          offset: 7,
          reply_to: newAddress(),
        },
      ];
      for (const message of sent) await mailboxes.sender.send(address, message);
      await vi.waitFor(() => expect(got).toHaveLength(sent.length), WAIT);
      expect(got).toEqual(sent);
      await close();
    });

    it('never shows an incarnation what was sent to another of its slot', async () => {
      const before = newAddress();
      const first = await listen(before);
      const after = newAddress(before.slot);
      const second = await listen(after);
      for (let n = 0; n < 20; n += 1) {
        await mailboxes.sender.send(n % 2 === 0 ? before : after, live(n));
      }
      await vi.waitFor(() => expect(first.got.length + second.got.length).toBe(20), WAIT);
      expect(first.got.map(numberOf)).toEqual([0, 2, 4, 6, 8, 10, 12, 14, 16, 18]);
      expect(second.got.map(numberOf)).toEqual([1, 3, 5, 7, 9, 11, 13, 15, 17, 19]);
      await Promise.all([first.close(), second.close()]);
    });

    it('does not call a handler within send', async () => {
      const address = newAddress();
      const { got, close } = await listen(address);
      const sent = mailboxes.sender.send(address, live(1));
      expect(got).toEqual([]);
      await sent;
      await vi.waitFor(() => expect(got).toHaveLength(1), WAIT);
      await close();
    });

    it('resolves a send to a slot that nobody ever had, and others are not held up', async () => {
      const address = newAddress();
      const { got, close } = await listen(address);
      const nobody = newAddress(9_999);
      const lost = [mailboxes.sender.send(nobody, live(1)), mailboxes.sender.send(nobody, live(2))];
      await mailboxes.sender.send(address, live(3));
      await vi.waitFor(() => expect(got).toEqual([live(3)]), WAIT);
      await Promise.all(lost);
      await close();
    });

    it('hands over nothing more when the inbox is closed', async () => {
      const address = newAddress();
      const closed = await listen(address);
      await closed.close();
      const open = await listen(newAddress(address.slot));
      await mailboxes.sender.send(address, live(1));
      const witness = await listen(address);
      await mailboxes.sender.send(address, live(2));
      await vi.waitFor(() => expect(witness.got).toEqual([live(2)]), WAIT);
      expect(closed.got).toEqual([]);
      expect(open.got).toEqual([]);
      await Promise.all([open.close(), witness.close()]);
    });

    it('goes on after a handler that throws', async () => {
      const address = newAddress();
      const got: number[] = [];
      const inbox = await mailboxes.receiver.receive(address, (message) => {
        got.push(numberOf(message));
        if (numberOf(message) === 1) throw new Error('not this one');
      });
      for (const n of [0, 1, 2]) await mailboxes.sender.send(address, live(n));
      await vi.waitFor(() => expect(got).toEqual([0, 1, 2]), WAIT);
      await inbox.close();
    });

    it('drops the newest when too many wait, and keeps what waited', async () => {
      const address = newAddress();
      const { got, close } = await listen(address);
      const numbers = Array.from({ length: MAX_WAITING + 500 }, (_, n) => n);
      await Promise.all(numbers.map((n) => mailboxes.sender.send(address, live(n))));
      await mailboxes.sender.send(address, live(-1));
      await vi.waitFor(() => expect(got.at(-1)).toEqual(live(-1)), WAIT);
      expect(got.map(numberOf)).toEqual([...numbers.slice(0, MAX_WAITING), -1]);
      await close();
    });
  });
}

const ids = { session_id: randomUUID(), turn_id: randomUUID(), attach_id: randomUUID() };

/** A piece of text, numbered. */
function live(n: number, text = `piece ${n}`): MailboxMessage {
  return { type: 'live', ...ids, epoch: n, offset: 0, text };
}

function numberOf(message: MailboxMessage): number {
  if (message.type !== 'live') throw new Error(`a ${message.type} has no number`);
  return message.epoch;
}
