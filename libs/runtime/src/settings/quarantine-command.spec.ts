import { describe, expect, it } from 'vitest';
import { parseQuarantineCommand } from './quarantine-command.js';

const ID = '7F3C1F4E-0b1d-4c7e-9a55-2f1f1f5a3c1b';

function parse(line: string) {
  return parseQuarantineCommand({}, line.split(' '));
}

describe('sbp-server quarantine', () => {
  it.each([
    ['list', { type: 'list', asJson: false }],
    ['list --json', { type: 'list', asJson: true }],
    [`show ${ID}`, { type: 'show', sessionId: ID.toLowerCase(), withContent: false }],
    ['show no-session-3 --content', { sessionId: 'no-session-3', withContent: true }],
    [`retry ${ID} --json`, { type: 'retry', sessionId: ID.toLowerCase(), asJson: true }],
    ['retry --all', { type: 'retry', sessionId: null }],
    [
      'list --data-dir elsewhere',
      { settings: { dataDir: expect.stringMatching(/elsewhere$/) as string } },
    ],
  ])('%s is understood', (line, command) => {
    expect(parse(line)).toMatchObject(command);
  });

  it.each([
    ['', /list.*show.*retry/],
    ['empty', /list.*show.*retry/],
    ['show', /id of a session must come first/],
    [`list ${ID}`, /takes no id/],
    ['retry', /either the id.*--all/],
    [`retry ${ID} --all`, /either the id.*--all/],
    [`retry ${ID} --content`, /--content: is not known here/],
    ['show not-an-id', /not-an-id/],
  ])('%s is refused with what is expected', (line, problem) => {
    expect(() => parse(line)).toThrow(problem);
  });
});
