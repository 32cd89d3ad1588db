import { describe, expect, it } from 'vitest';
import { CancelResponse, SbpAccepted, TurnResponse, TurnsResponse } from '#libs/protocol';
import { Agent, request, saidIn, steered } from '../clients/agent.js';
import type { Answer } from '../clients/agent.js';
import { Completion, Failure } from '../clients/bodies.js';
import { Surface } from '../clients/surface.js';
import { eventually } from '../clients/waiting.js';
import type { GetServer } from '../topology/server.js';

/** Takes a minute. */
const SLOW = 'ttft=60000';
const MANY = 50;

export function queueing(server: GetServer): void {
  const ask = (agent: Agent, said: string, sbp: object): Promise<Answer> =>
    agent.post({ model: 'gpt-4o', messages: [{ role: 'user', content: said }], sbp });

  const code = ({ json }: Answer): string | null => Failure.parse(json).error.code;

  async function turnsOf(agent: Agent, sessionId: string) {
    const { json } = await agent.get(`sessions/${sessionId}/turns?limit=100`);
    return TurnsResponse.strict().parse(json).turns;
  }

  async function waiting(agent: Agent, sessionId: string, count: number) {
    return eventually(async () => {
      const turns = await turnsOf(agent, sessionId);
      const found = turns.filter(({ status }) => status === 'queued');
      expect(found).toHaveLength(count);
      return found;
    });
  }

  async function running(agent: Agent, sessionId: string): Promise<void> {
    await eventually(async () => {
      expect((await agent.session(sessionId)).turn_in_flight).not.toBeNull();
    });
  }

  /** A session that has had a turn, and runs one that takes a minute. */
  async function busy() {
    const { url, replicas } = server();
    const agent = new Agent(url);
    const { first, second } = replicas('completions');
    const { sbp: key } = await agent.turn('Hello.');
    const sbp = { session_id: key.session_id };
    const long = ask(agent.at(first), steered(SLOW, 'The long one.'), sbp);
    await running(agent, key.session_id);
    return { agent, doors: [agent.at(first), agent.at(second)] as const, key, sbp, long };
  }

  const cancel = async (agent: Agent, sessionId: string, turnId?: string) => {
    const answer = await request(`${agent.url}/v1/sbp/sessions/${sessionId}/cancel`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(turnId === undefined ? {} : { turn_id: turnId }),
    });
    return CancelResponse.parse(answer.json);
  };

  /** Fifty requests to one session at once, on both replicas. */
  async function crowd(on_conflict: string): Promise<{
    readonly agent: Agent;
    readonly sessionId: string;
    readonly answers: readonly Answer[];
  }> {
    const { url, replicas } = server();
    const agent = new Agent(url);
    const { sbp: key } = await agent.turn('Hello.');
    const doors = Object.values(replicas('completions'));
    const sbp = { session_id: key.session_id, on_conflict };
    const how = on_conflict === 'queue' ? 'ttft=0 tokens=1' : 'ttft=3000 tokens=1';
    const answers = await Promise.all(
      Array.from({ length: MANY }, (_, at) =>
        ask(agent.at(doors[at % doors.length] ?? url), steered(how, `Question ${at}.`), sbp),
      ),
    );
    return { agent, sessionId: key.session_id, answers };
  }

  // [SBP-L1-63]
  describe('§3 fifty requests to one session at once', () => {
    it('all run, one after the other, where they queue; each gets its own answer', async () => {
      const { agent, sessionId, answers } = await crowd('queue');
      expect(answers.map(({ status }) => status)).toEqual(answers.map(() => 200));
      const turns = await turnsOf(agent, sessionId);
      const ids = answers.map(({ json }) => Completion.parse(json).sbp?.['turn_id']);
      expect(turns.slice(1).map(({ turn_id }) => turn_id)).toEqual(
        expect.arrayContaining(ids as string[]),
      );
      const messages = await agent.messages(sessionId);
      expect(messages).toHaveLength(2 + 2 * MANY);
      // Each question stands once, before its own answer.
      const asked = messages.filter(({ role }) => role === 'user').slice(1);
      expect(new Set(asked.map(({ content }) => content)).size).toBe(MANY);
      expect(messages.map(({ role }) => role)).toEqual(
        messages.map((_, at) => (at % 2 === 0 ? 'user' : 'assistant')),
      );
      expect(turns.every(({ status }) => status === 'completed')).toBe(true);
    });

    it('run once where they do not want to wait; the others are told 409', async () => {
      const { agent, sessionId, answers } = await crowd('reject');
      const passed = answers.filter(({ status }) => status === 200);
      expect(passed).toHaveLength(1);
      const others = answers.filter(({ status }) => status !== 200);
      expect(new Set(others.map(code))).toEqual(new Set(['SBP_SESSION_CONFLICT']));
      expect(await turnsOf(agent, sessionId)).toHaveLength(2);
    });

    it('leave the last one where they interrupt; every other caller is told', async () => {
      const { agent, sessionId, answers } = await crowd('interrupt');
      const passed = answers.filter(({ status }) => status === 200);
      expect(passed).toHaveLength(1);
      const others = answers.filter(({ status }) => status !== 200);
      // Shown whole where one differs: its message says what happened to it.
      const different = others.filter((answer) => code(answer) !== 'SBP_TURN_CANCELLED');
      expect(different.map(({ status, json }) => ({ status, json }))).toEqual([]);
      const turns = await turnsOf(agent, sessionId);
      const completed = turns.filter(({ status }) => status === 'completed');
      expect(completed.at(-1)?.turn_id).toBe(Completion.parse(passed[0]?.json).sbp?.['turn_id']);
      expect(completed).toHaveLength(2);
      expect(turns.at(-1)?.turn_id).toBe(completed.at(-1)?.turn_id);
    });
  });

  describe('§3 a request that finds its session busy', () => {
    it('is interrupted and interrupts across replicas; streams are told, too', async () => {
      const { agent, doors, key, sbp, long } = await busy();
      const waits = doors[1].stream('Meanwhile?', sbp).then(
        () => 'answered',
        (error: unknown) => String(error),
      );
      await waiting(agent, key.session_id, 1);
      const last = await doors[1].turn('Stop that.', { ...sbp, on_conflict: 'interrupt' });
      expect(last.sbp).toMatchObject({ session_id: key.session_id, step_count: 2 });
      const told = await long;
      expect([told.status, code(told)]).toEqual([409, 'SBP_TURN_CANCELLED']);
      expect(told.headers.get('x-should-retry')).toBe('false');
      expect(await waits).toContain('SBP_TURN_CANCELLED');
      expect(saidIn(await agent.messages(key.session_id))).toContain('user: Stop that.');
    });

    // [SBP-L1-65]
    it('and edits does not cut the turn that ran meanwhile', async () => {
      const agent = new Agent(server().url);
      const { completion, sbp: key } = await agent.turn('Hello.');
      const answer = completion.choices[0]?.message ?? {};
      const one = [{ role: 'user', content: 'Hello.' }, answer];
      const said = (content: string) => [...one, { role: 'user', content }];
      const first = agent.turn(said(steered('ttft=2000', 'In one tab.')), {});
      await running(agent, key.session_id);
      await agent.turn(said('In another tab.'), {});
      await first;
      const messages = saidIn(await agent.messages(key.session_id));
      expect(
        messages.filter((text) => text.includes('tab.') && text.startsWith('user')),
      ).toHaveLength(2);
      expect(messages).toHaveLength(6);
    });

    // [SBP-L1-78]
    it('is withdrawn by its id from another replica, and leaves no message', async () => {
      const { agent, doors, key, sbp, long } = await busy();
      const waits = ask(doors[1], 'Never mind.', sbp);
      const [turn] = await waiting(agent, key.session_id, 1);
      expect(turn).toMatchObject({ number: null, ended_at: null });
      expect(await cancel(doors[0], key.session_id, turn?.turn_id)).toMatchObject({
        turn_id: turn?.turn_id,
        status: 'cancelled',
      });
      const told = await waits;
      expect([told.status, code(told)]).toEqual([409, 'SBP_TURN_CANCELLED']);
      expect(await cancel(doors[1], key.session_id)).toMatchObject({ status: 'cancelled' });
      expect((await long).status).toBe(409);
      const messages = saidIn(await agent.messages(key.session_id));
      expect(messages).not.toContain('user: Never mind.');
    });

    // [SBP-L1-75]
    it('as the 101st is told 429', async () => {
      const { agent, doors, key, sbp, long } = await busy();
      const background = { ...sbp, background: true };
      for (let at = 0; at < 100; at += 20) {
        const taken = await Promise.all(
          Array.from({ length: 20 }, (_, of) => ask(doors[of % 2] ?? agent, 'Wait.', background)),
        );
        expect(taken.map(({ status }) => status)).toEqual(taken.map(() => 202));
      }
      const refused = await ask(doors[1], 'One too many.', sbp);
      expect([refused.status, code(refused)]).toEqual([429, 'SBP_RATE_LIMITED']);
      expect(refused.headers.get('retry-after')).toBe('1');
      await waiting(agent, key.session_id, 100);
      const last = await agent.turn('All off.', { ...sbp, on_conflict: 'interrupt' });
      expect(last.sbp.step_count).toBe(2);
      await waiting(agent, key.session_id, 0);
      expect((await long).status).toBe(409);
    });
  });

  // [SBP-L1-61]
  describe('§3 a turn in the background', () => {
    const posted = async (agent: Agent, said: string, sbp: object) => {
      const answer = await ask(agent, said, { background: true, ...sbp });
      expect(answer.status).toBe(202);
      expect(Object.keys(answer.json as object)).toEqual(['sbp']);
      const accepted = SbpAccepted.strict().parse((answer.json as { readonly sbp: unknown }).sbp);
      expect(answer.headers.get('x-session-token')).toBe(accepted.session_token);
      return accepted;
    };
    const ended = (agent: Agent, { session_id, turn_id }: SbpAccepted) =>
      eventually(async () => {
        const { json } = await agent.get(`sessions/${session_id}/turns/${turn_id}`);
        const turn = TurnResponse.strict().parse(json);
        expect(turn.ended_at).not.toBeNull();
        return turn;
      });

    it('is answered 202 in a new session and in an old one, and is read when it has ended', async () => {
      const agent = new Agent(server().url);
      const first = await posted(agent, steered('ttft=500', 'Research this.'), {});
      const second = await posted(agent, 'And that.', {});
      expect(second.session_id).toBe(first.session_id);
      for (const accepted of [first, second]) {
        expect(await ended(agent, accepted)).toMatchObject({ status: 'completed', error: null });
      }
      expect(await agent.messages(first.session_id)).toHaveLength(4);
    });

    it('waits in the Tether for the device that comes back', async () => {
      const { url } = server();
      const agent = new Agent(url);
      const accepted = await posted(agent, 'Research this.', {});
      const turn = await ended(agent, accepted);
      const surface = await Surface.attach(url, accepted);
      expect(await surface.next('TETHER_TURN')).toMatchObject({ turn_id: turn.turn_id });
      await surface.close(1000);
    });

    // [SBP-L1-76]
    it('stands in line with the others', async () => {
      const { agent, doors, key, sbp, long } = await busy();
      const first = await posted(doors[1], 'First.', sbp);
      const second = await posted(doors[0], 'Second.', sbp);
      const queued = await waiting(agent, key.session_id, 2);
      expect(queued.map(({ turn_id }) => turn_id)).toEqual([first.turn_id, second.turn_id]);
      await cancel(agent, key.session_id);
      expect((await long).status).toBe(409);
      const [one, two] = [await ended(agent, first), await ended(agent, second)];
      expect([one.status, two.status]).toEqual(['completed', 'completed']);
      expect(one.number).toBeLessThan(two.number ?? 0);
    });

    it('is refused where it may not wait, and interrupts where it is to', async () => {
      const { agent, doors, sbp, long } = await busy();
      const refused = await ask(doors[1], 'No?', {
        ...sbp,
        background: true,
        on_conflict: 'reject',
      });
      expect([refused.status, code(refused)]).toEqual([409, 'SBP_SESSION_CONFLICT']);
      const accepted = await posted(doors[1], 'Yes.', { ...sbp, on_conflict: 'interrupt' });
      expect((await long).status).toBe(409);
      expect(await ended(agent, accepted)).toMatchObject({ status: 'completed' });
    });
  });

  // [SBP-L1-14]
  it('§3 twenty first requests at once open one session', async () => {
    const { url, replicas } = server();
    const agent = new Agent(url);
    const doors = Object.values(replicas('completions'));
    const turns = await Promise.all(
      Array.from({ length: 20 }, (_, at) =>
        agent.at(doors[at % doors.length] ?? url).turn(`Question ${at}.`),
      ),
    );
    expect(new Set(turns.map(({ sbp }) => sbp.session_id)).size).toBe(1);
    expect(await agent.messages(turns[0]?.sbp.session_id ?? '')).toHaveLength(40);
  });

  it('§3 bad values of the new fields are 400 and name the field', async () => {
    const agent = new Agent(server().url);
    for (const [field, value] of [
      ['background', 'yes'],
      ['background', 1],
      ['on_conflict', 'wait'],
      ['on_conflict', null],
      ['history', 'some'],
      ['on_disconnect', 'stop'],
    ] as const) {
      const answer = await ask(agent, 'Hello.', { [field]: value });
      expect([answer.status, code(answer)]).toEqual([400, 'SBP_INVALID_REQUEST']);
      expect(JSON.stringify(answer.json)).toContain(`sbp.${field}`);
    }
  });
}
