import { copyFile, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import SqliteFile from 'better-sqlite3';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { SupervisedProcess } from '../../tools/supervise/index.js';
import { Agent } from './clients/agent.js';
import { embeddedProgram } from './topology/embedded.js';

/** What a power cut may take back: claims and read models are committed without a sync. */
const RELAXED = ['claims', 'consumer_positions', 'live_sessions', 'sessions', 'turns'] as const;

describe('an embedded server after a power cut', () => {
  let folder: string;
  let program: SupervisedProcess;

  beforeAll(async () => {
    folder = await mkdtemp(path.join(tmpdir(), 'power-cut-'));
    program = embeddedProgram(path.join(folder, 'data'));
  });
  afterAll(async () => {
    await program.stop();
    await rm(folder, { recursive: true, force: true });
  });

  it('knows every acknowledged turn in its first answer, though only the log was kept', async () => {
    await program.start();
    const agent = new Agent(program.url);
    const { sbp } = await agent.turn('One.');
    await program.stop();
    const file = path.join(folder, 'data', 'statebridge.sqlite');
    const earlier = path.join(folder, 'earlier.sqlite');
    await copyFile(file, earlier);

    await program.start();
    for (const text of ['Two.', 'Three.', 'Four.']) await agent.at(program.url).turn(text);
    await program.stop();
    takeBack(file, earlier);

    await program.start();
    const after = agent.at(program.url);
    const next = await after.turn('Five.');
    expect(next.sbp).toMatchObject({ session_id: sbp.session_id, step_count: 5 });
    const messages = await after.messages(sbp.session_id);
    expect(messages.filter(({ role }) => role === 'user').map(({ content }) => content)).toEqual([
      'One.',
      'Two.',
      'Three.',
      'Four.',
      'Five.',
    ]);
  });
});

/** Puts the relaxed tables back to what they were in an earlier copy of the file. */
function takeBack(file: string, earlier: string): void {
  const database = new SqliteFile(file);
  database.exec(`ATTACH '${earlier}' AS earlier`);
  for (const table of RELAXED) {
    database.exec(`DELETE FROM ${table}; INSERT INTO ${table} SELECT * FROM earlier.${table}`);
  }
  database.close();
}
