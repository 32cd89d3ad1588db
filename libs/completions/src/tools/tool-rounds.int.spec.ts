import {
  ATTACH,
  CALL,
  OTHER_CALL,
  SESSION,
  TURN,
  calling,
  surfaceAttached,
  surfaceDetached,
  toolReturned,
  toolsCalled,
  user,
} from '#libs/domain/testing';
import type { OpenSession } from '#libs/domain';
import { StorageFault, sql } from '#libs/sql';
import { ToolReads } from '#libs/store';
import { describe, expect, it } from 'vitest';
import { DeadProcess } from '../testing/dead-process.js';
import { TestModel, answerWith, callWith } from '../testing/test-model.js';
import { eventually, useStage } from '../testing/test-stage.js';

const stage = useStage();
const context = { mcp_tools: ['gps'] };

async function session(): Promise<OpenSession> {
  const state = await stage.backend.sessions.state(SESSION);
  if (state.phase !== 'open') throw new Error('it is not open');
  return state;
}

/** A process died while its turn's calls were open. */
async function died(calls: readonly string[], at = new Date()): Promise<void> {
  const dead = await DeadProcess.on(stage.backend);
  const epoch = await dead.start(SESSION, TURN);
  const told = { session: SESSION, at: at.toISOString() };
  await stage.backend.append(
    surfaceAttached(ATTACH, { ...told, context }),
    toolsCalled(epoch, { ...told, calls, text: 'Let me see. ' }),
  );
}

async function survivor() {
  const model = new TestModel();
  model.answer = () => answerWith('You are here.');
  await stage.start({ model, options: { othersDead: true } });
  return model;
}

async function completed(): Promise<void> {
  await eventually(async () => {
    expect(await session()).toMatchObject({ turn: null, steps: 1 });
  });
}

// [SBP-L5-11]
describe('a turn whose runner died while calls were open', () => {
  it('goes on when they have returned, and no call is made again [A18]', async () => {
    await died([CALL, OTHER_CALL]);
    await stage.backend.append(toolReturned(CALL, { result: 'first' }));
    const model = await survivor();
    await eventually(async () => {
      expect((await session()).turn).toMatchObject({ adoptions: 1 });
    });
    expect((await session()).calls.map(({ callId }) => callId)).toEqual([OTHER_CALL]);
    expect(model.asked).toEqual([]);
    await stage.backend.append(toolReturned(OTHER_CALL, { result: 'second' }));
    await completed();
    expect(model.asked.map(({ messages }) => messages)).toEqual([
      [
        user('Hello'),
        calling([CALL, OTHER_CALL], 'Let me see. '),
        { role: 'tool', tool_call_id: `m-${CALL}`, content: 'first' },
        { role: 'tool', tool_call_id: `m-${OTHER_CALL}`, content: 'second' },
      ],
    ]);
    const turn = await stage.backend.sessions.turn(SESSION, TURN);
    expect(turn).toMatchObject({
      text: 'Let me see. You are here.',
      output: [{ role: 'assistant', content: 'You are here.' }],
    });
    const types = (await stage.types(SESSION)).filter((type) => type === 'tools.called');
    expect(types).toHaveLength(1);
  });

  it('goes on at once where they returned before', async () => {
    await died([CALL]);
    await stage.backend.append(toolReturned(CALL));
    const model = await survivor();
    await completed();
    expect(model.asked).toHaveLength(1);
  });

  it('goes on where their time was over', async () => {
    await died([CALL], new Date(0));
    const model = await survivor();
    await completed();
    expect(model.asked[0]?.messages.at(-1)).toMatchObject({ content: '{"error":"timeout"}' });
  });

  it('goes on when their surface leaves', async () => {
    await died([CALL]);
    const model = await survivor();
    await eventually(async () => {
      expect((await session()).turn).toMatchObject({ adoptions: 1 });
    });
    await stage.backend.append(surfaceDetached(ATTACH, { session: SESSION }));
    await completed();
    expect(model.asked[0]?.messages.at(-1)?.content).toContain('cancelled');
  });
});

// [SBP-L5-08]
describe('a turn whose tools return more than the conversation may have', () => {
  it('goes on, and its model is told in place of each further result', async () => {
    const model = new TestModel();
    const completions = await stage.start({ model, options: { maxSessionBytes: 2_000 } });
    const opener = await completions.turn();
    const sessionId = opener.session?.sessionId ?? '';
    const told = { session: sessionId, at: new Date().toISOString() };
    await stage.backend.append(surfaceAttached(ATTACH, { ...told, context }));
    model.answer = () => (model.asked.length < 5 ? callWith('surface_gps') : answerWith('Here.'));
    const running = completions.turn({ sbp: { session_id: sessionId }, text: 'Where am I?' });
    const sizes = [1_000, 1_000, 100];
    for (const [at, size] of sizes.entries()) {
      const openCall = await eventually(async () => {
        const state = await stage.backend.sessions.state(sessionId);
        const [call] = state.phase === 'open' && state.turn?.rounds === at + 1 ? state.calls : [];
        if (call === undefined) throw new Error('no call is open');
        return call.callId;
      });
      const result = 'x'.repeat(size);
      await stage.backend.append(toolReturned(openCall, { session: sessionId, result }));
    }
    expect((await running).failure).toBeNull();
    const results = model.asked.at(-1)?.messages.filter(({ role }) => role === 'tool');
    const tooLarge = '{"error":"The result is too large."}';
    expect(results?.map(({ content }) => content)).toEqual([
      'x'.repeat(1_000),
      tooLarge,
      'x'.repeat(100),
    ]);
    const { rows } = await stage.backend.database.read(
      (reader) =>
        sql(reader)<{ content: string }>`SELECT content FROM tool_calls WHERE outcome = 'error'`,
    );
    expect(rows).toEqual([{ content: tooLarge }]);
  });
});

/** Reads of rounds that fail as a test says. */
class FaultyReads extends ToolReads {
  readonly faults: Error[] = [];

  override async rounds(...read: Parameters<ToolReads['rounds']>) {
    const fault = this.faults.shift();
    if (fault !== undefined) throw fault;
    return super.rounds(...read);
  }
}

// [SBP-L5-11]
describe('a turn whose results cannot be read', () => {
  /** A turn whose call has returned, and was read with this fault first. */
  async function read(fault: Error) {
    const model = new TestModel();
    const modelFaults: unknown[] = [];
    const reads = new FaultyReads(stage.backend.database);
    const completions = await stage.start({
      model,
      options: { onModelFault: (error) => void modelFaults.push(error) },
      replaced: [{ part: ToolReads, by: () => reads }],
    });
    const opener = await completions.turn();
    const sessionId = opener.session?.sessionId ?? '';
    const told = { session: sessionId, at: new Date().toISOString() };
    await stage.backend.append(surfaceAttached(ATTACH, { ...told, context }));
    model.answer = () => (model.asked.length === 2 ? callWith('surface_gps') : answerWith('Here.'));
    const running = completions.turn({ sbp: { session_id: sessionId }, text: 'Where am I?' });
    const openCall = await eventually(async () => {
      const state = await stage.backend.sessions.state(sessionId);
      const [call] = state.phase === 'open' ? state.calls : [];
      if (call === undefined) throw new Error('no call is open');
      return call.callId;
    });
    reads.faults.push(fault);
    await stage.backend.append(toolReturned(openCall, { session: sessionId, result: 'At home.' }));
    const caller = await running;
    return { caller, completions, modelFaults, types: () => stage.types(sessionId) };
  }

  it('goes on where the storage is back', async () => {
    const { caller, completions, types } = await read(new StorageFault('unavailable', 'away'));
    expect(caller.failure).toBeNull();
    expect(await types()).toContain('turn.completed');
    expect(completions.adoptions).toEqual([]);
  });

  it('is left to an adopter where it is another fault, and the model is not blamed', async () => {
    const { caller, modelFaults, types } = await read(new Error('no such column'));
    expect(caller.failure?.code).toBe('SBP_UPSTREAM_UNAVAILABLE');
    expect(modelFaults).toEqual([]);
    await eventually(async () => {
      expect((await types()).filter((type) => type === 'turn.completed')).toHaveLength(2);
    });
    expect(await types()).toContain('turn.adopted');
    expect(await types()).not.toContain('turn.failed');
  });
});
