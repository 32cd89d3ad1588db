import { shortLine } from '../terminal/plain-text.js';
import type { Terminal } from '../terminal/terminal.js';
import type { Tool } from './tool.js';
import { failure, inputOf, result, textIn } from './tool.js';

const LONGEST_TEXT = 1_000;

/** Shows a line and rings. */
export function notify(terminal: Pick<Terminal, 'ring' | 'say'>): Tool {
  return {
    name: 'notify',
    schema: {
      description: 'Shows the person a notification.',
      inputSchema: inputOf(
        {
          title: { type: 'string', description: 'What it is about, in a few words.' },
          text: { type: 'string', description: 'What it says.' },
        },
        ['text'],
      ),
    },
    run: (input) => {
      const text = textIn(input, 'text');
      if (text === null) return Promise.resolve(failure('text is missing'));
      const title = textIn(input, 'title') ?? 'Notification';
      terminal.ring();
      terminal.say(`** ${shortLine(title, LONGEST_TEXT)}: ${shortLine(text, LONGEST_TEXT)}`);
      return Promise.resolve(result({ shown: true }));
    },
  };
}
