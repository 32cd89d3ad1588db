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
import { describe, expect, it } from 'vitest';
import { DeadProcess } from '../testing/dead-process.js';
import { TestModel, answerWith } from '../testing/test-model.js';
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
