import { describe, expect, it } from 'vitest';
import { attach, eventually, sdk, useScene } from '../testing/scene.js';
import { TestAgent } from '../testing/test-agent.js';

const scene = useScene();

describe('live output', () => {
  it('asks the runner, passes its text on and ends with what was committed', async () => {
    const gateway = await scene.startGateway();
    const agent = await TestAgent.withTurns(scene.backend);
    const surface = await attach(gateway, agent, sdk);
    await surface.next('SESSION_ATTACHED');
    const turn = await agent.start();
    const watch = await agent.asked();
    expect(watch).toMatchObject({
      turn_id: turn.turnId,
      epoch: turn.epoch,
      offset: 0,
      reply_to: gateway.address,
    });
    agent.say(watch, 0, 'Hello 👋');
    const first = await surface.next('TURN_CHUNK');
    expect(first).toMatchObject({ delta: 'Hello 👋', offset: 0, turn_id: turn.turnId });
    // An overlap of two code units, as after a repeated message.
    agent.say(watch, 6, '👋, wor');
    expect(await surface.next('TURN_CHUNK')).toMatchObject({
      delta: ', wor',
      offset: 7,
      chunk_id: first.chunk_id,
    });
    await agent.complete(turn, 'Hello 👋, world');
    const end = await surface.next('TURN_COMPLETE');
    expect(end).toMatchObject({
      chunk_id: first.chunk_id,
      turn_id: turn.turnId,
      seq: 1,
      status: 'completed',
    });
    expect(surface.text(end.chunk_id)).toBe('Hello 👋, world');
    await surface.next('PING');
    surface.send({ type: 'PONG' });
    await eventually(async () => (await agent.cursor()) === 1);
  });

  it('joins a turn in the middle with the text so far, on another gateway, and reads on', async () => {
    const [one, two] = [await scene.startGateway(), await scene.startGateway()];
    const agent = await TestAgent.withTurns(scene.backend);
    const phone = await attach(one, agent, sdk);
    await phone.next('SESSION_ATTACHED');
    const turn = await agent.start();
    agent.say(await agent.asked(), 0, 'Once upon ');
    const { chunk_id } = await phone.next('TURN_CHUNK');
    phone.socket.terminate();
    const desk = await attach(two, agent, sdk);
    const watch = await agent.asked(
      (each) => each.reply_to.incarnation === two.address.incarnation,
    );
    expect(watch.offset).toBe(0);
    agent.say(watch, 0, 'Once upon a time');
    expect(await desk.next('TURN_CHUNK')).toMatchObject({
      chunk_id,
      offset: 0,
      delta: 'Once upon a time',
    });
    agent.say(watch, 16, ' there');
    expect(await desk.next('TURN_CHUNK')).toMatchObject({ chunk_id, offset: 16 });
    await agent.complete(turn, 'Once upon a time there was');
    await desk.next('TURN_COMPLETE');
    expect(desk.text(chunk_id)).toBe('Once upon a time there was');
    expect(desk.of('TETHER_TURN')).toEqual([]);
  });

  it('gives a surface that dropped in the middle of a turn the whole of it when it comes back after its end', async () => {
    const gateway = await scene.startGateway();
    const agent = await TestAgent.withTurns(scene.backend);
    const surface = await attach(gateway, agent, sdk);
    await surface.next('SESSION_ATTACHED');
    const turn = await agent.start();
    agent.say(await agent.asked(), 0, 'Half a');
    await surface.next('TURN_CHUNK');
    surface.socket.terminate();
    await agent.complete(turn, 'Half a sentence');
    const back = await attach(gateway, agent, sdk);
    expect(await back.next('TETHER_TURN')).toMatchObject({
      turn_id: turn.turnId,
      content: 'Half a sentence',
    });
    expect(back.of('TURN_CHUNK')).toEqual([]);
  });

  it('asks again where text is missing, and never writes beyond a gap', async () => {
    const gateway = await scene.startGateway();
    const agent = await TestAgent.withTurns(scene.backend);
    const surface = await attach(gateway, agent, sdk);
    await surface.next('SESSION_ATTACHED');
    await agent.start();
    const first = await agent.asked();
    agent.say(first, 0, 'abc');
    await surface.next('TURN_CHUNK');
    agent.say(first, 6, 'ghi');
    const again = await agent.asked(({ offset }) => offset === 3);
    agent.say(again, 3, 'defghi');
    expect(await surface.next('TURN_CHUNK')).toMatchObject({ offset: 3, delta: 'defghi' });
  });

  // [SBP-L2-42]
  it('starts an attempt of another runner anew, names what it replaces, and drops what the dead one still says', async () => {
    const gateway = await scene.startGateway();
    const agent = await TestAgent.withTurns(scene.backend);
    const surface = await attach(gateway, agent, sdk);
    await surface.next('SESSION_ATTACHED');
    const turn = await agent.start();
    const dead = await agent.asked();
    agent.say(dead, 0, 'Roses are');
    const { chunk_id: abandoned } = await surface.next('TURN_CHUNK');
    const adopted = await agent.adopt(turn);
    const watch = await agent.asked(({ epoch }) => epoch === adopted.epoch);
    expect(watch.offset).toBe(0);
    agent.say(dead, 9, ' red');
    agent.say(watch, 0, 'Violets');
    const chunk = await surface.next('TURN_CHUNK');
    expect(chunk).toMatchObject({
      turn_id: turn.turnId,
      delta: 'Violets',
      offset: 0,
      replaces: abandoned,
    });
    await agent.complete(adopted, 'Violets are blue');
    const end = await surface.next('TURN_COMPLETE');
    expect(end.chunk_id).toBe(chunk.chunk_id);
    expect(surface.text(end.chunk_id)).toBe('Violets are blue');
    expect(surface.of('TURN_COMPLETE')).toHaveLength(1);
  });

  // [SBP-L2-42] [SBP-L2-43]
  it('sends the whole committed text as a new attempt where what was shown is not its beginning', async () => {
    const gateway = await scene.startGateway();
    const agent = await TestAgent.withTurns(scene.backend);
    const surface = await attach(gateway, agent, sdk);
    await surface.next('SESSION_ATTACHED');
    const turn = await agent.start();
    agent.say(await agent.asked(), 0, 'Draft');
    const { chunk_id: draft } = await surface.next('TURN_CHUNK');
    await agent.complete(turn, 'Final');
    expect(await surface.next('TURN_CHUNK')).toMatchObject({
      delta: 'Final',
      offset: 0,
      replaces: draft,
    });
    const end = await surface.next('TURN_COMPLETE');
    expect(surface.text(end.chunk_id)).toBe('Final');
  });

  it('ends a failed turn with its error', async () => {
    const gateway = await scene.startGateway();
    const agent = await TestAgent.withTurns(scene.backend);
    const surface = await attach(gateway, agent, sdk);
    await surface.next('SESSION_ATTACHED');
    const turn = await agent.start();
    agent.say(await agent.asked(), 0, 'I was ab');
    const { chunk_id } = await surface.next('TURN_CHUNK');
    await agent.fail(turn);
    expect(await surface.next('TURN_COMPLETE')).toMatchObject({
      chunk_id,
      status: 'failed',
      error: { code: 'SBP_UPSTREAM_UNAVAILABLE' },
    });
  });

  it('sends turns that it saw nothing of while they ran, whole and in order', async () => {
    const gateway = await scene.startGateway();
    const agent = await TestAgent.withTurns(scene.backend);
    const surface = await attach(gateway, agent, sdk);
    await surface.next('SESSION_ATTACHED');
    await agent.run('first', 'connected');
    await agent.run('');
    await agent.run('third');
    await surface.until(() => surface.of('TURN_COMPLETE').length === 3);
    const ends = surface.of('TURN_COMPLETE');
    expect(ends.map(({ seq }) => seq)).toEqual([1, 2, 3]);
    expect(ends.map(({ chunk_id }) => surface.text(chunk_id))).toEqual(['first', '', 'third']);
  });

  it('finds by its sweep what lost pokes left behind', async () => {
    const gateway = await scene.startGateway();
    const agent = await TestAgent.withTurns(scene.backend);
    const surface = await attach(gateway, agent, sdk);
    await surface.next('SESSION_ATTACHED');
    scene.backend.pokes = false;
    await agent.run('unheard');
    await gateway.sweep();
    const end = await surface.next('TURN_COMPLETE');
    expect(surface.text(end.chunk_id)).toBe('unheard');
    await agent.start();
    await gateway.sweep();
    await agent.asked();
    // The runner has not answered: the next sweep asks again.
    await gateway.sweep();
    await agent.asked();
  });
});
