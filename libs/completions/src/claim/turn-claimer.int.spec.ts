import { randomUUID } from 'node:crypto';
import { describe, expect, it, vi } from 'vitest';
import type { ClaimTarget } from '#libs/store';
import { SessionReleases } from '#libs/session-log';
import type { TestCompletions } from '../testing/test-completions.js';
import { TestModel, answerWith, neverAnswer } from '../testing/test-model.js';
import { trackedRequest } from '../testing/test-request.js';
import { eventually, useStage } from '../testing/test-stage.js';
import { WaitingTurns } from '../queue/waiting-turns.js';
import { TurnClaimer } from './turn-claimer.js';

const stage = useStage();
const MAX_SESSION_BYTES = 1_000;

/** A process with a session of one turn. */
async function withSession(model = new TestModel()) {
  const completions = await stage.assemble({
    model,
    options: { maxSessionBytes: MAX_SESSION_BYTES },
  });
  const { session } = await completions.turn();
  const sessionId = session?.sessionId ?? '';
  return { completions, model, sessionId, sbp: { session_id: sessionId } };
}

async function expectUnclaimed(sessionId: string): Promise<void> {
  expect(await stage.backend.claims.inspect(sessionId)).toMatchObject({ turnId: null });
}

describe('a conversation that has grown too large', () => {
  it('is refused with 413 before anything of it is loaded, and its claim let go', async () => {
    const { completions, model, sessionId, sbp } = await withSession();
    const loads = [
      vi.spyOn(completions.process.transcripts, 'loadUnlessChanged'),
      vi.spyOn(completions.process.transcripts, 'system'),
    ];
    const refused = completions.turn({ sbp, bytes: MAX_SESSION_BYTES });
    await expect(refused).rejects.toMatchObject({ code: 'SBP_PAYLOAD_TOO_LARGE' });
    for (const load of loads) expect(load).not.toHaveBeenCalled();
    expect(model.asked).toHaveLength(1);
    await expectUnclaimed(sessionId);
    await completions.turn({ sbp, bytes: 100 });
    expect(model.asked).toHaveLength(2);
  });
});

describe('a next turn', () => {
  it('is sent to the model with the whole conversation', async () => {
    const { completions, model, sbp } = await withSession();
    await completions.turn({ sbp, text: 'And now?' });
    expect(model.asked[1]?.messages.map(({ content }) => content)).toEqual([
      'Hello.',
      'An answer.',
      'And now?',
    ]);
  });

  it('costs no more than its claim where nothing is new since this process last read', async () => {
    const { completions, sessionId } = await withSession();
    const { database, freshness } = stage.backend;
    const claimer = completions.get(TurnClaimer);
    const releases = completions.get(SessionReleases);
    const statements = async (work: () => Promise<unknown>): Promise<number> => {
      const before = database.counts().statements;
      await work();
      return database.counts().statements - before;
    };
    const claimTurn = async (): Promise<void> => {
      const claimed = await claimer.claim(
        { type: 'session', sessionId },
        trackedRequest(),
        () => true,
      );
      if (claimed?.type !== 'claimed') throw new Error('it was not claimed');
      await releases.release({ ...claimed.turn, head: null, answeredBy: null });
    };
    const claimOnly = async (): Promise<void> => {
      const turnId = randomUUID();
      const { claims, address: runner } = completions.process;
      const target: ClaimTarget = { type: 'session', sessionId, principal: 'anonymous' };
      const outcome = await claims.claim({ target, turnId, runner });
      if (outcome.type !== 'claimed') throw new Error('it was refused');
      const { epoch } = outcome;
      await claims.release({ sessionId, turnId, epoch, head: null, answeredBy: null });
    };
    await freshness.latest(sessionId);
    const first = await statements(claimTurn);
    const bare = await statements(claimOnly);
    expect(await statements(claimTurn)).toBe(bare);
    expect(first).toBeGreaterThan(bare);
  });

  it('waits for all that was acknowledged of the session [A5]', async () => {
    const { completions, model, sessionId, sbp } = await withSession();
    await stage.backend.freshness.latest(sessionId);
    const { goOn } = stage.backend.holdFold();
    const second = completions.turn({ sbp, text: 'Two.' });
    await eventually(() => expect(model.asked).toHaveLength(2));
    goOn();
    await second;
    await completions.turn({ sbp, text: 'Three.' });
    expect(model.asked[2]?.messages).toHaveLength(5);
  });
});

describe('a session of another principal', () => {
  const credential = { principal: 'somebody else' };

  it('is 404, as one that does not exist', async () => {
    const { completions, model, sessionId, sbp } = await withSession();
    for (const named of [sbp, { session_id: randomUUID() }]) {
      await expect(completions.turn({ sbp: named, credential })).rejects.toMatchObject({
        code: 'SBP_SESSION_NOT_FOUND',
        param: 'sbp.session_id',
      });
    }
    await expectUnclaimed(sessionId);
    expect(model.asked).toHaveLength(1);
  });

  it('is 404 at once, also while a turn runs in it', async () => {
    const { completions, model, sbp } = await withSession();
    model.answer = neverAnswer;
    const running = completions.turn({ sbp });
    await eventually(() => expect(model.asked).toHaveLength(2));
    await expect(completions.turn({ sbp, credential })).rejects.toMatchObject({
      code: 'SBP_SESSION_NOT_FOUND',
    });
    await completions.close();
    await running;
  });

  it('may be used with its token', async () => {
    const { completions, model, sessionId, sbp } = await withSession();
    await completions.turn({ sbp, credential: { ...credential, tokenSession: sessionId } });
    expect(model.asked).toHaveLength(2);
  });
});

describe('a claim', () => {
  it('that fails while it is prepared is let go', async () => {
    const { completions, sessionId, sbp } = await withSession();
    const { transcripts } = completions.process;
    const failure = new Error('the database is away');
    vi.spyOn(transcripts, 'loadUnlessChanged').mockRejectedValueOnce(failure);
    await expect(completions.turn({ sbp })).rejects.toThrow('the database is away');
    await expectUnclaimed(sessionId);
    await completions.turn({ sbp });
  });

  it('of a session that two processes want goes to one after the other', async () => {
    const { completions, sbp, sessionId } = await withSession();
    const other: TestCompletions = await stage.assemble({ model: new TestModel() });
    await Promise.all([completions.turn({ sbp }), other.turn({ sbp }), completions.turn({ sbp })]);
    await stage.backend.freshness.latest(sessionId);
    expect(await stage.backend.sessions.state(sessionId)).toMatchObject({ steps: 4, messages: 8 });
  });
});

describe('a request with answers in it', () => {
  const one = { role: 'user', content: 'Hello.' } as const;
  const two = { role: 'user', content: 'Two.' } as const;
  const other = { role: 'user', content: 'Another two.' } as const;
  const answer = { role: 'assistant', content: 'An answer.' } as const;
  const foreign = [{ role: 'user', content: 'Elsewhere?' } as const, answer, two];

  /** A model that answers the next turn only when it is told to. */
  function held(model: TestModel): () => void {
    const { promise, resolve } = Promise.withResolvers<undefined>();
    const { answer } = model;
    model.answer = async (asked) => {
      model.answer = answer;
      await promise;
      return answer(asked);
    };
    return () => resolve(undefined);
  }

  async function said(
    { process }: TestCompletions,
    sessionId: string,
  ): Promise<readonly unknown[]> {
    const { freshness, sessions } = stage.backend;
    await freshness.latest(sessionId);
    const state = await sessions.state(sessionId);
    if (state.phase !== 'open') throw new Error('it was not opened');
    const transcript = await process.transcripts.load(sessionId, state);
    return transcript.messages().map(({ content }) => content);
  }

  // [SBP-L1-65]
  it('edits what had ended when it arrived', async () => {
    const { completions, sessionId } = await withSession();
    await completions.turn({ messages: [one, answer, two] });
    await completions.turn({ messages: [one, answer, other] });
    expect(await said(completions, sessionId)).toEqual([
      'Hello.',
      'An answer.',
      'Another two.',
      'An answer.',
    ]);
  });

  // [SBP-L1-65]
  it('cuts no turn that ended while it waited: of two tabs the later one is appended', async () => {
    const { completions, model, sessionId } = await withSession();
    const goOn = held(model);
    const first = completions.turn({ messages: [one, answer, two] });
    await eventually(() => expect(model.asked).toHaveLength(2));
    const waits = vi.spyOn(completions.get(WaitingTurns), 'turnout');
    const second = completions.turn({ messages: [one, answer, other] });
    await eventually(() => expect(waits).toHaveBeenCalled());
    goOn();
    await Promise.all([first, second]);
    expect(await said(completions, sessionId)).toEqual([
      ...['Hello.', 'An answer.', 'Two.', 'An answer.', 'Another two.', 'An answer.'],
    ]);
  });

  // [SBP-L1-26] [SBP-L1-74]
  it('edits the answer that another choice of the model stands in the place of', async () => {
    const { completions, model, sessionId } = await withSession();
    model.answer = () => answerWith('Choice 0.', 'Choice 1.');
    await completions.turn({ text: 'Two.' });
    expect(await said(completions, sessionId)).toEqual([
      ...['Hello.', 'An answer.', 'Two.', 'Choice 0.'],
    ]);
    const choice = { role: 'assistant', content: 'Choice 1.' } as const;
    await completions.turn({ messages: [one, answer, two, choice, other] });
    const edited = ['Hello.', 'An answer.', 'Two.', 'Choice 1.', 'Another two.'];
    expect(model.asked.at(-1)?.messages.map(({ content }) => content)).toEqual(edited);
    expect(await said(completions, sessionId)).toEqual([...edited, 'Choice 0.']);
  });

  // [SBP-L1-67]
  it('opens a new session at once where the live one is another, even a busy one', async () => {
    const { completions, model, sessionId } = await withSession();
    const goOn = held(model);
    const first = completions.turn({ text: 'Two.' });
    await eventually(() => expect(model.asked).toHaveLength(2));
    const { session } = await completions.turn({ messages: foreign });
    expect(session?.sessionId).not.toBe(sessionId);
    goOn();
    await first;
    const next = await completions.turn({ messages: [...foreign, answer, one] });
    expect(next.session?.sessionId).toBe(session?.sessionId);
    expect(await said(completions, sessionId)).toHaveLength(4);
  });

  // [SBP-L1-67]
  it('is appended to a session that it names, and leaves no claim where it opens another', async () => {
    const { completions, sessionId, sbp } = await withSession();
    await completions.turn({ sbp, messages: foreign });
    expect(await said(completions, sessionId)).toHaveLength(6);
    await completions.turn({ messages: [other, answer, two] });
    await expectUnclaimed(sessionId);
    expect(await said(completions, sessionId)).toHaveLength(6);
  });
});
