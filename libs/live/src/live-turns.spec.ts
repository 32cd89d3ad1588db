import { beforeEach, describe, expect, it, vi } from 'vitest';
import type { MailboxMessage, MailboxMessageOf } from '#libs/mailbox';
import { Mailbox } from '#libs/mailbox';
import type { ProcessAddress } from '#libs/protocol';
import { LiveTurns } from './live-turns.js';

interface Sent {
  readonly to: ProcessAddress;
  readonly message: MailboxMessageOf<'live'>;
  /** The mailbox takes it. */
  readonly done: () => void;
}

/** A mailbox that takes a message only when it is told to. */
class SlowMailbox extends Mailbox {
  readonly sent: Sent[] = [];

  override send(to: ProcessAddress, message: MailboxMessage): Promise<void> {
    if (message.type !== 'live') throw new Error(`a runner sends no ${message.type}`);
    return new Promise((done) => this.sent.push({ to, message, done }));
  }

  override receive(): Promise<never> {
    throw new Error('nobody receives here');
  }

  override close(): Promise<void> {
    return Promise.resolve();
  }

  /** Takes all that waits, until nothing more comes. */
  async flush(): Promise<void> {
    for (let taken = 0; taken < this.sent.length;) {
      this.sent[taken++]?.done();
      await settled();
    }
  }

  /** What one watcher has been sent. */
  texts(attachId = 'a1'): string[] {
    return this.sent.flatMap(({ message }) =>
      message.attach_id === attachId ? [message.text] : [],
    );
  }
}

const settled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
const gateway = { slot: 3, incarnation: 'i' };

function watch(more: Partial<MailboxMessageOf<'watch'>> = {}): MailboxMessageOf<'watch'> {
  return {
    type: 'watch',
    session_id: 's1',
    turn_id: 't1',
    epoch: 7,
    attach_id: 'a1',
    offset: 0,
    reply_to: gateway,
    ...more,
  };
}

let mailbox: SlowMailbox;
let live: LiveTurns;
beforeEach(() => {
  mailbox = new SlowMailbox();
  live = new LiveTurns(mailbox);
});

const begin = (session = 's1', turn = 't1', epoch = 7, drop = () => undefined) =>
  live.begin(session, turn, epoch, drop);

describe('a watcher', () => {
  it('is sent the text from where it stands, and then what comes', async () => {
    const turn = begin();
    turn.append('Hello');
    live.accept(watch({ offset: 2 }));
    expect(mailbox.sent).toMatchObject([
      {
        to: gateway,
        message: {
          type: 'live',
          session_id: 's1',
          turn_id: 't1',
          epoch: 7,
          attach_id: 'a1',
          offset: 2,
          text: 'llo',
        },
      },
    ]);
    await mailbox.flush();
    turn.append(' you');
    expect(mailbox.sent.at(-1)?.message).toMatchObject({ offset: 5, text: ' you' });
  });

  it('is answered even when there is nothing yet', async () => {
    const turn = begin();
    live.accept(watch());
    expect(mailbox.sent).toMatchObject([{ message: { offset: 0, text: '' } }]);
    await mailbox.flush();
    turn.append('x');
    await mailbox.flush();
    expect(mailbox.texts()).toEqual(['', 'x']);
  });

  it('gets what came while one message was being sent as one', async () => {
    const turn = begin();
    live.accept(watch());
    for (const delta of ['a', 'b', '', 'c']) turn.append(delta);
    expect(mailbox.texts()).toEqual(['']);
    await mailbox.flush();
    expect(mailbox.texts()).toEqual(['', 'abc']);
  });

  it('gets also what comes at the very moment when its last message was taken', async () => {
    const turn = begin();
    live.accept(watch());
    await mailbox.flush();
    for (let instants = 0; instants < 8; instants++) {
      turn.append('a');
      mailbox.sent.at(-1)?.done();
      for (let instant = 0; instant < instants; instant++) await Promise.resolve();
      turn.append('b');
      await settled();
      await mailbox.flush();
      expect(mailbox.texts().join('')).toBe('ab'.repeat(instants + 1));
    }
  });

  it('never gets half a character', async () => {
    const turn = begin();
    live.accept(watch());
    await mailbox.flush();
    turn.append('a\ud83d');
    await mailbox.flush();
    expect(mailbox.texts()).toEqual(['', 'a']);
    turn.append('\ude00b');
    await mailbox.flush();
    expect(mailbox.texts()).toEqual(['', 'a', '\ud83d\ude00b']);
  });

  it('gets a long text in pieces, none of them cut inside a character', async () => {
    const text = `a${'\ud83d\ude00'.repeat(400_000)}`;
    begin().append(text);
    live.accept(watch());
    await mailbox.flush();
    expect(mailbox.texts().length).toBeGreaterThan(2);
    expect(mailbox.texts().join('')).toBe(text);
    for (const piece of mailbox.texts()) expect(piece.isWellFormed()).toBe(true);
  });

  it('that asks again is sent the text from there, and no longer from where it stood', async () => {
    const turn = begin();
    turn.append('Hello');
    live.accept(watch());
    live.accept(watch({ offset: 4 }));
    turn.append('!');
    await mailbox.flush();
    expect(mailbox.sent.map(({ message }) => [message.offset, message.text])).toEqual([
      [0, 'Hello'],
      [4, 'o'],
      [5, '!'],
    ]);
  });

  it('shares the turn with others, each at its own pace', async () => {
    const turn = begin();
    live.accept(watch());
    live.accept(watch({ attach_id: 'a2' }));
    mailbox.sent[1]?.done();
    await settled();
    turn.append('x');
    expect([mailbox.texts('a1'), mailbox.texts('a2')]).toEqual([[''], ['', 'x']]);
  });

  it('is dropped for newer ones, the oldest first, but not for one that asks again', async () => {
    const turn = begin();
    const watchers = Array.from({ length: 32 }, (_, at) => `a${at + 1}`);
    for (const attach_id of watchers) live.accept(watch({ attach_id }));
    live.accept(watch({ attach_id: 'a32' }));
    await mailbox.flush();
    turn.append('x');
    await mailbox.flush();
    for (const attach of watchers) expect(mailbox.texts(attach).at(-1)).toBe('x');
    live.accept(watch({ attach_id: 'newer', offset: 1 }));
    turn.append('y');
    await mailbox.flush();
    const [oldest = '', ...others] = watchers;
    expect(mailbox.texts(oldest).at(-1)).toBe('x');
    for (const attach of [...others, 'newer']) expect(mailbox.texts(attach).at(-1)).toBe('y');
  });

  it('gets nothing more once the turn has ended', async () => {
    const turn = begin();
    turn.append('Hello');
    live.accept(watch());
    live.end(turn);
    turn.append(' you');
    await mailbox.flush();
    live.accept(watch());
    expect(mailbox.texts()).toEqual(['Hello']);
  });
});

describe('a watch', () => {
  it.each([{ session_id: 's2' }, { turn_id: 't2' }, { epoch: 6 }])(
    'of another attempt (%j) is ignored',
    (other) => {
      begin().append('Hello');
      live.accept(watch(other));
      expect(mailbox.sent).toEqual([]);
    },
  );

  it('is the only message that concerns a runner', () => {
    begin();
    live.accept({ type: 'poke', session_id: 's1' });
    expect(mailbox.sent).toEqual([]);
  });
});

describe('attempts whose claim is not held any more', () => {
  it('are given up, those begun after the question aside', () => {
    const dropped = vi.fn();
    const attempt = (session: string) => begin(session, 't1', 7, () => void dropped(session));
    attempt('lost');
    attempt('held');
    const ended = attempt('ended');
    live.end(ended);
    const askedAt = performance.now() + 1;
    vi.spyOn(performance, 'now').mockReturnValueOnce(askedAt + 1);
    attempt('later');
    live.keepOnly(new Set(['held 7', 'lost 6']), askedAt);
    expect(dropped.mock.calls).toEqual([['lost']]);
  });
});
