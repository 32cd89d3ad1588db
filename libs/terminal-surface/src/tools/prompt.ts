import { shortLine } from '../terminal/plain-text.js';
import type { Terminal } from '../terminal/terminal.js';
import type { Tool } from './tool.js';
import { failure, inputOf, result, textIn } from './tool.js';

const ANSWER_SECONDS = 120;
const LONGEST_QUESTION = 2_000;

/** Asks the person, who answers with a line. */
export function prompt(terminal: Pick<Terminal, 'ask'>): Tool {
  return {
    name: 'prompt',
    schema: {
      description: 'Asks the person a question, and returns what they type.',
      inputSchema: inputOf(
        { question: { type: 'string', description: 'What the person is asked.' } },
        ['question'],
      ),
      // Longer than the person has, so that being late is told by the device.
      timeout_seconds: ANSWER_SECONDS + 30,
    },
    run: async (input) => {
      const question = textIn(input, 'question');
      if (question === null) return failure('question is missing');
      const asked = `?? ${shortLine(question, LONGEST_QUESTION)} (the next line answers)`;
      const answer = await terminal.ask(asked, ANSWER_SECONDS * 1_000);
      switch (answer.type) {
        case 'answered':
          return result({ answer: answer.text });
        case 'late':
          return failure(`The person did not answer within ${ANSWER_SECONDS} s.`);
        case 'nobody':
          return failure('There is nobody to ask.');
      }
    },
  };
}
