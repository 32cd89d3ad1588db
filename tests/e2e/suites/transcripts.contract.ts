import { describe, expect, it } from 'vitest';
import { Agent, saidIn, steered } from '../clients/agent.js';
import { textOf } from '../clients/bodies.js';
import type { GetServer } from '../topology/server.js';

const user = (content: unknown) => ({ role: 'user', content });
const assistant = (content: unknown) => ({ role: 'assistant', content });
const system = (content: unknown) => ({ role: 'system', content });

export function transcripts(server: GetServer): void {
  describe('§3 the conversation is held by the server', () => {
    // [SBP-L1-20] [SBP-L1-21]
    it('a client that sends only what is new continues it', async () => {
      const agent = new Agent(server().url);
      const one = await agent.turn('One.');
      const two = await agent.turn('Two.');
      expect(two.completion.demo?.messages).toBe(3);
      expect(saidIn(await agent.messages(two.sbp.session_id))).toEqual([
        'user: One.',
        `assistant: ${textOf(one.completion)}`,
        'user: Two.',
        `assistant: ${textOf(two.completion)}`,
      ]);
    });

    // [SBP-L1-22]
    it('a client that sends everything again does not double it', async () => {
      const agent = new Agent(server().url);
      const conversation: object[] = [user('One.')];
      for (const text of ['Two.', 'Three.', 'Four.']) {
        const { completion } = await agent.turn(conversation as never);
        expect(completion.demo?.messages).toBe(conversation.length);
        conversation.push(assistant(textOf(completion)), user(text));
      }
      const { completion, sbp } = await agent.turn(conversation as never);
      expect(completion.demo?.messages).toBe(7);
      expect(
        saidIn(await agent.messages(sbp.session_id)).filter((text) => text.startsWith('user')),
      ).toEqual(['user: One.', 'user: Two.', 'user: Three.', 'user: Four.']);
    });

    // [SBP-L1-23]
    it('what is sent again counts as the same in another form', async () => {
      const agent = new Agent(server().url);
      const { completion } = await agent.turn('One.');
      const parts = [
        user([{ type: 'text', text: 'One.' }]),
        { ...assistant([{ text: textOf(completion), type: 'text' }]), refusal: null },
        user('Two.'),
      ];
      const again = await agent.turn(parts);
      expect(again.completion.demo?.messages).toBe(3);
      expect(await agent.session(again.sbp.session_id)).toMatchObject({ message_count: 4 });
    });

    it('a client that sends only its last messages again continues it', async () => {
      const agent = new Agent(server().url);
      await agent.turn('One.');
      const two = await agent.turn('Two.');
      const three = await agent.turn([
        user('Two.'),
        assistant(textOf(two.completion)),
        user('Three.'),
      ]);
      expect(three.completion.demo?.messages).toBe(5);
      expect(await agent.session(three.sbp.session_id)).toMatchObject({ message_count: 6 });
    });

    it('what a client says again in the same words is new', async () => {
      const agent = new Agent(server().url);
      await agent.turn('Again.');
      const { completion, sbp } = await agent.turn('Again.');
      expect(completion.demo?.messages).toBe(3);
      expect(await agent.session(sbp.session_id)).toMatchObject({
        step_count: 2,
        message_count: 4,
      });
    });

    // [SBP-L1-22]
    it('another conversation is appended to a session that is named', async () => {
      const agent = new Agent(server().url);
      const { sbp } = await agent.turn('One.');
      const foreign = [user('Elsewhere?'), assistant('Far away.'), user('Go on.')];
      const { completion } = await agent.turn(foreign, { session_id: sbp.session_id });
      expect(completion.demo?.messages).toBe(5);
      expect(saidIn(await agent.messages(sbp.session_id)).slice(2, 5)).toEqual([
        'user: Elsewhere?',
        'assistant: Far away.',
        'user: Go on.',
      ]);
    });

    // [SBP-L1-21] [SBP-L1-25]
    it('a failed turn keeps its question and no partial text; the same question again is the same turn tried again', async () => {
      const agent = new Agent(server().url);
      const { sbp } = await agent.turn('One.');
      // The model refuses this limit, so that the same messages fail once and succeed once.
      const body = { model: 'gpt-4o', messages: [user('Two.')], sbp: {} };
      for (let tries = 0; tries < 2; tries++) {
        expect(await agent.post({ ...body, max_tokens: 0 })).toMatchObject({ status: 400 });
        expect(await agent.session(sbp.session_id)).toMatchObject({
          step_count: 1,
          message_count: 3,
        });
        expect(saidIn(await agent.messages(sbp.session_id)).at(-1)).toBe('user: Two.');
      }
      const { completion, sbp: retried } = await agent.turn('Two.');
      expect(completion.demo?.messages).toBe(3);
      expect(retried).toMatchObject({ session_id: sbp.session_id, step_count: 2 });
      expect(await agent.session(sbp.session_id)).toMatchObject({ message_count: 4 });
    });

    it('another question after a failed turn comes after the one that failed', async () => {
      const agent = new Agent(server().url);
      const { sbp } = await agent.turn('One.');
      const failing = steered('fail=break:3', 'Two.');
      expect(
        await agent.post({ model: 'gpt-4o', messages: [user(failing)], sbp: {} }),
      ).toMatchObject({ status: 503 });
      const { completion } = await agent.turn('Three.');
      expect(completion.demo?.messages).toBe(4);
      expect(saidIn(await agent.messages(sbp.session_id))).toEqual([
        'user: One.',
        expect.stringMatching(/^assistant: /) as unknown,
        `user: ${failing}`,
        'user: Three.',
        `assistant: ${textOf(completion)}`,
      ]);
    });

    // [SBP-L1-24]
    it('a system message is set aside: kept while it is not sent, replaced where it changes', async () => {
      const agent = new Agent(server().url);
      const words = (turn: { completion: { usage: { prompt_tokens: number } } }) =>
        turn.completion.usage.prompt_tokens;
      const one = await agent.turn([system('a b c d e'), user('one')]);
      expect(words(one)).toBe(6);
      const said = words(one) + textOf(one.completion).split(' ').length;
      const kept = await agent.turn('two');
      expect(words(kept)).toBe(said + 1);
      const same = await agent.turn([system('a b c d e'), user('three')]);
      expect(same.completion.demo?.messages).toBe(6);
      const changed = await agent.turn([system('a b'), user('four')]);
      expect(changed.completion.demo?.messages).toBe(8);
      const answered = textOf(same.completion).split(' ').length;
      expect(words(changed)).toBe(words(same) - 5 + 2 + answered + 1);
      const messages = saidIn(await agent.messages(changed.sbp.session_id));
      expect(messages).toHaveLength(8);
      expect(messages.filter((text) => text.startsWith('system'))).toEqual([]);
    });

    // [SBP-L1-35]
    it('a checkpoint is taken every N turns', async () => {
      const agent = new Agent(server().url);
      const one = await agent.turn('One.', { checkpoint_every: 2 });
      expect(one.sbp).toMatchObject({ snapshot_id: null, last_checkpoint: null });
      const two = await agent.turn('Two.', { checkpoint_every: 2 });
      expect(two.sbp.snapshot_id).not.toBeNull();
      expect(two.sbp.last_checkpoint).not.toBeNull();
      const three = await agent.turn('Three.', { checkpoint_every: 2 });
      expect(three.sbp).toMatchObject({
        snapshot_id: null,
        last_checkpoint: two.sbp.last_checkpoint,
      });
      expect(await agent.session(one.sbp.session_id)).toMatchObject({
        snapshot_id: two.sbp.snapshot_id,
        last_checkpoint: two.sbp.last_checkpoint,
      });
    });

    // [SBP-L1-16]
    it('a request that finds the session busy waits for its turn', async () => {
      const { url, replicas } = server();
      const agent = new Agent(url);
      const first = await agent
        .at(replicas('completions').first)
        .stream(steered('interval=40', 'One.'));
      await first.until((stream) => stream.text() !== '');
      const sessionId = first.headers.get('x-sbp-session-id') ?? '';
      const second = agent.at(replicas('completions').second).turn('Two.');
      await first.whole();
      const { completion, sbp } = await second;
      expect(sbp).toMatchObject({ session_id: sessionId, step_count: 2 });
      expect(completion.demo?.messages).toBe(3);
      expect(saidIn(await agent.messages(sessionId))[1]).toBe(`assistant: ${first.text()}`);
    });
  });
}
