import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { RunningProgram } from './clients/running-program.js';
import { eventually } from './clients/waiting.js';
import { Agent } from './clients/agent.js';
import { startEmbedded } from './topology/embedded.js';
import type { Server } from './topology/server.js';

const README = path.resolve(import.meta.dirname, '../../README.md');

let server: Server;

beforeAll(async () => {
  server = await startEmbedded();
});

/** What a section tells its readers to paste, one block after the other. */
async function blocksOf(heading: string): Promise<readonly string[]> {
  const [, section = ''] = (await readFile(README, 'utf8')).split(`\n## ${heading}\n`);
  const [own = ''] = section.split('\n## ');
  return [...own.matchAll(/```sh\n([^]*?)```/g)].map(([, block = '']) => block);
}

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
  const blocks = await blocksOf('A session by hand');
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

  const [looking = ''] = await blocksOf('What was done, and what it cost');
  await eventually(async () => {
    const told = await paste(looking);
    expect(told).toContain('"type": "session.exported"');
    expect(told).toMatch(/"model": "gpt-4o",\s+"turns": \{\s+"completed": [1-9]/);
  });
});

it('the tools of the README are called in one terminal by a question from another', async () => {
  const blocks = await blocksOf('Tools of the device');
  expect(blocks).toHaveLength(5);
  const [surface = '', question = '', asking = '', approval = '', inspector = ''] = blocks;
  const here = (block: string) => block.replaceAll('localhost:8080', new URL(server.url).host);
  await using device = new RunningProgram('bash');
  device.type(`${surface.trim()} --yes --url ${server.url}\n`);
  await device.prints(/Tools: camera, gps, notify, prompt/);
  await using other = new RunningProgram('bash');
  other.type(here(question));
  await other.prints(/The answer of surface_gps: .*latitude.*surface_camera: .*a gradient/);
  await device.prints(/The model calls gps[^]*The model calls camera[^]*The answer of surface_gps/);

  other.type(here(asking));
  const [, callId = ''] = await other.prints(/"call_id": "([0-9a-f-]{36})"/);
  const variables = await device.prints(/SBP_SESSION_ID=\S+\nSBP_SESSION_TOKEN=\S+\n/);
  other.type(`${variables[0]}${here(approval).replace('<CALL_ID>', callId)}`);
  await other.prints(/"approved":true/);
  await device.prints(/(The answer of surface_camera: [^]*a gradient[^]*){2}/);
  other.type(here(inspector));
  await other.prints(/"structuredContent": \{\s*"latitude"/);
});
