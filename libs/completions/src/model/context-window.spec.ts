import { describe, expect, it } from 'vitest';
import type { TurnOutcome } from '#libs/domain';
import { assistant, user } from '#libs/domain/testing';
import { ContextTokens } from '#libs/llm';
import type { Message } from '#libs/protocol';
import { StoredTurn, emptyTranscript } from '#libs/store';
import { ContextWindow } from './context-window.js';

const LONG = 'word '.repeat(200);
const [question, answer] = [user(LONG), assistant(LONG)];
const tool: Message = { role: 'tool', tool_call_id: 'c', content: LONG };
const call: Message = {
  ...{ role: 'assistant', content: null },
  tool_calls: [{ id: 'c', type: 'function', function: { name: 'f', arguments: '{}' } }],
};

type Part = readonly [TurnOutcome, ...messages: readonly Message[]];
const talk: Part = ['answered', question, answer];

function fitted(parts: readonly Part[], messages: readonly Message[], tokens = 1_000) {
  let count = 0;
  const turns = parts.map(([outcome, ...own]) => {
    const turn = StoredTurn.of(count, outcome, own);
    count += own.length;
    return turn;
  });
  const transcript = emptyTranscript.extended(turns, turns.length);
  if (transcript === null) throw new Error('it does not follow');
  const isStored = messages.length === 0;
  const prompt = { system: [], transcript, keeps: transcript.count, messages, isStored };
  const window = new ContextWindow(new ContextTokens([['m', tokens]]));
  const { from, omitted } = window.fit('m', prompt, {});
  const sent = transcript.sent(transcript.count, messages, from).map(String).join(',');
  return { from, omitted, roles: (JSON.parse(`[${sent}]`) as Message[]).map(({ role }) => role) };
}

// [SBP-L1-80]
describe('what a model is sent of a conversation that is too long for it', () => {
  it('is its end', () => {
    expect(fitted([talk, talk, talk], [user('And?')])).toEqual({
      ...{ from: 2, omitted: 2 },
      roles: ['user', 'assistant', 'user'],
    });
  });

  it.each(['refused', 'unanswered'] as const)(
    'has the call with its answer, also where a turn between them was %s',
    (outcome) => {
      const parts: readonly Part[] = [talk, ['answered', question, call], [outcome, question]];
      const between = outcome === 'refused' ? [] : ['user'];
      expect(fitted(parts, [tool])).toEqual({
        ...{ from: 1, omitted: 1 },
        roles: ['user', 'assistant', 'tool', ...between],
      });
      // The same where another process goes on with the turn.
      expect(fitted([...parts, ['unanswered', tool]], [])).toMatchObject({ from: 1 });
      // Later, the answer is not sent without its call.
      expect(fitted([...parts, ['answered', tool, answer]], [user('And?')])).toEqual({
        ...{ from: 4, omitted: outcome === 'refused' ? 3 : 4 },
        roles: ['user'],
      });
    },
  );

  it('does not count what the model refused', () => {
    expect(fitted([talk, ['refused', question, question]], [user('And?')])).toMatchObject({
      ...{ from: 0, omitted: 0 },
    });
  });
});
