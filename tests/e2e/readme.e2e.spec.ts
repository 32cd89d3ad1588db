import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { RunningProgram } from './clients/running-program.js';
import { eventually } from './clients/waiting.js';
import { Agent } from './clients/agent.js';
import { startEmbedded } from './topology/embedded.js';
import type { Server } from './topology/server.js';

const README = path.resolve(import.meta.dirname, '../../README.md');
const HEADING = '\n## A session by hand\n';

let server: Server;
/** What the section tells its readers to paste, one block after the other. */
let blocks: readonly string[];

beforeAll(async () => {
  server = await startEmbedded();
  const [, section = ''] = (await readFile(README, 'utf8')).split(HEADING);
  const [own = ''] = section.split('\n## ');
  blocks = [...own.matchAll(/```sh\n([^]*?)```/g)].map(([, block = '']) => block);
});

afterAll(() => server.stop());

interface Completion {
  readonly sbp: {
    readonly session_id: string;
    readonly session_token: string;
    readonly step_count: number;
  };
}

const FRAME = /\{"type":"(?:SESSION_ATTACHED|TETHER_TURN|PING)".*\}/g;

function framesIn(printed: string): readonly { readonly type: string }[] {
  return [...printed.matchAll(FRAME)].map(([text]) => JSON.parse(text) as { type: string });
}

it('the session of the README goes as it says, block by block, in one shell', async () => {
  await using shell = new RunningProgram('bash');
  let end = 0;
  const paste = async (block: string): Promise<string> => {
    const begin = shell.output.length;
    const mark = `end-of-block-${(end += 1)}`;
    const here = block.replaceAll('localhost:8080', new URL(server.url).host);
    // The shell has read all of it before it runs any of it: what runs may read the terminal.
    shell.type(`{\n${here}\n}; echo ${mark} $?\n`);
    await shell.prints(new RegExp(`${mark} 0\n`));
    return shell.output.slice(begin).split(mark)[0] ?? '';
  };
  expect(blocks).toHaveLength(6);
  const [ask = '', variables = '', attach = '', askAgain = '', comeBack = '', exporting = ''] =
    blocks;

  const { sbp } = JSON.parse(await paste(ask)) as Completion;
  expect(sbp.step_count).toBe(1);
  await paste(
    variables
      .replace('…      # paste sbp.session_id\n', `${sbp.session_id}\n`)
      .replace('…   # paste sbp.session_token\n', `${sbp.session_token}\n`),
  );
  expect(framesIn(await paste(attach))).toEqual([
    expect.objectContaining({ type: 'SESSION_ATTACHED', queued_turns: 0 }),
  ]);

  const second = JSON.parse(await paste(askAgain)) as Completion;
  expect(second.sbp).toMatchObject({ session_id: sbp.session_id, step_count: 2 });
  const [attached, turn] = framesIn(await paste(comeBack));
  expect(attached).toMatchObject({ type: 'SESSION_ATTACHED', queued_turns: 1 });
  expect(turn).toMatchObject({
    type: 'TETHER_TURN',
    content: expect.stringContaining('Also add 3 restaurant') as unknown,
  });
  // It stayed for longer than two seconds after its library's pong.
  await eventually(async () => {
    expect(await new Agent(server.url).session(sbp.session_id)).toMatchObject({ queued_turns: 0 });
  });
  expect(framesIn(await paste(attach))).toEqual([
    expect.objectContaining({ type: 'SESSION_ATTACHED', queued_turns: 0 }),
  ]);

  const shown = await paste(exporting);
  expect(shown).toMatch(/"roaming_token": "eyJ[^]*"label": "Tokyo trip"/);
  expect(shown).toContain(`"session_id": "${sbp.session_id}"`);
  expect(shown).toContain('Plan a 3-day trip to Tokyo. Be concise.');
});
