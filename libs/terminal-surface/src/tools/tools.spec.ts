import { crc32, inflateSync } from 'node:zlib';
import { ToolSchemas } from '#libs/protocol';
import { describe, expect, it } from 'vitest';
import type { Answer } from '../terminal/terminal.js';
import { camera } from './camera.js';
import { gps } from './gps.js';
import { notify } from './notify.js';
import { encodePng } from './png.js';
import { prompt } from './prompt.js';
import { shell } from './shell.js';
import { Toolbox } from './toolbox.js';

const { signal } = new AbortController();

/** A person who gives this answer, and what they were asked, shown and rung for. */
function person(answer: Answer) {
  const told: string[] = [];
  return {
    told,
    ask: (question: string) => {
      told.push(question);
      return Promise.resolve(answer);
    },
    say: (text: string) => void told.push(text),
    ring: () => void told.push('ring'),
  };
}

const answered = (text: string): Answer => ({ type: 'answered', text });

describe('a PNG file', () => {
  it('holds the colours row by row, in chunks with their sums', () => {
    const file = encodePng(2, 2, (x, y) => [x, y, 255]);
    expect(file.subarray(0, 8).toString('latin1')).toBe('\u0089PNG\r\n\u001a\n');
    const chunks = new Map<string, Buffer>();
    for (let at = 8; at < file.length;) {
      const length = file.readUInt32BE(at);
      const body = file.subarray(at + 4, at + 8 + length);
      expect(file.readUInt32BE(at + 8 + length)).toBe(crc32(body));
      chunks.set(body.subarray(0, 4).toString(), body.subarray(4));
      at += 12 + length;
    }
    expect([...chunks.keys()]).toEqual(['IHDR', 'IDAT', 'IEND']);
    expect([...(chunks.get('IHDR') ?? [])]).toEqual([0, 0, 0, 2, 0, 0, 0, 2, 8, 2, 0, 0, 0]);
    expect([...inflateSync(chunks.get('IDAT') ?? '')]).toEqual([
      ...[0, 0, 0, 255, 1, 0, 255],
      ...[0, 0, 1, 255, 1, 1, 255],
    ]);
  });
});

describe('the tools of a terminal', () => {
  it('describe themselves as the protocol wants it', () => {
    const nobody = person({ type: 'nobody' });
    const place = { latitude: 1, longitude: 2 };
    const tools = [camera, gps(place), notify(nobody), prompt(nobody), shell(nobody)];
    const toolbox = new Toolbox(tools);
    expect(toolbox.names).toEqual(['camera', 'gps', 'notify', 'prompt', 'shell']);
    expect(ToolSchemas.parse(toolbox.schemas)).toEqual(toolbox.schemas);
    expect(toolbox.schemas['prompt']).toMatchObject({
      inputSchema: { type: 'object', required: ['question'] },
      timeout_seconds: 150,
    });
  });

  it('take a picture as MCP returns one', async () => {
    const outcome = await camera.run({}, signal);
    expect(outcome).toMatchObject({
      type: 'result',
      result: {
        content: [
          {
            type: 'image',
            mimeType: 'image/png',
            data: expect.stringMatching(/^iVBOR/) as unknown,
          },
          { type: 'text', text: expect.stringContaining('no camera') as unknown },
        ],
      },
    });
  });

  it('tell a place, and that it is fixed', async () => {
    expect(await gps({ latitude: 1.5, longitude: -2 }).run({}, signal)).toMatchObject({
      result: {
        latitude: 1.5,
        longitude: -2,
        accuracy_meters: 10,
        note: expect.stringContaining('fixed') as unknown,
      },
    });
  });

  it('show a notification and ring', async () => {
    const { told, ...terminal } = person({ type: 'nobody' });
    const tool = notify(terminal);
    expect(await tool.run({ title: 'Tea', text: 'is\nready' }, signal)).toMatchObject({
      type: 'result',
    });
    expect(told).toEqual(['ring', '** Tea: is ready']);
    expect(await tool.run({ title: 'Tea' }, signal)).toMatchObject({ type: 'error' });
  });

  it('ask the person, who may be late or away', async () => {
    const asked = person(answered('blue'));
    const outcome = await prompt(asked).run({ question: 'Which\ncolour?' }, signal);
    expect(outcome).toEqual({ type: 'result', result: { answer: 'blue' } });
    expect(asked.told[0]).toMatch(/^\?\? Which colour\? /);
    for (const answer of [{ type: 'late' }, { type: 'nobody' }] as const)
      expect((await prompt(person(answer)).run({ question: '?' }, signal)).type).toBe('error');
    expect((await prompt(asked).run({}, signal)).type).toBe('error');
  });

  it('run no command that the person does not confirm', async () => {
    for (const answer of [answered(''), answered('n'), answered('yes please'), { type: 'late' }])
      expect(await shell(person(answer as Answer)).run({ command: 'true' }, signal)).toMatchObject({
        error: 'The person did not confirm the command.',
      });
  });

  it('do not ask about a command that the person would not see as it is', async () => {
    const long = ['x'.repeat(1_501), `rm x${'\n'.repeat(15)}ls`];
    for (const command of [...long, 'true \u202e', 'true \u001b[8m', 'true \r', ' ', 7]) {
      const asked = person(answered('y'));
      expect((await shell(asked).run({ command }, signal)).type).toBe('error');
      expect(asked.told).toEqual([]);
    }
  });

  it('make of a fault an error, as of a name that nobody knows', async () => {
    const broken = { ...camera, run: () => Promise.reject(new Error('no film')) };
    const toolbox = new Toolbox([broken]);
    const fault = await toolbox.run('camera', {}, signal);
    expect(fault).toEqual({ type: 'error', error: 'no film' });
    expect((await toolbox.run('door', {}, signal)).type).toBe('error');
  });
});
