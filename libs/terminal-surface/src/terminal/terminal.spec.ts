import { PassThrough, Writable } from 'node:stream';
import { describe, expect, it } from 'vitest';
import { Terminal } from './terminal.js';

function open() {
  const input = new PassThrough();
  let printed = '';
  const output = new Writable({
    decodeStrings: false,
    write: (text: string, _encoding, done) => {
      printed += text;
      done();
    },
  });
  const ended = Promise.withResolvers<undefined>();
  const streams = { input, output, notices: output };
  const terminal = new Terminal(streams, () => ended.resolve(undefined));
  return { input, terminal, ended: ended.promise, printed: () => printed };
}

describe('a terminal', () => {
  it('begins a line of its own for what it says, and prints no control character', () => {
    const { terminal, printed } = open();
    terminal.write('half a \u001b[2J');
    terminal.say('a notice');
    terminal.write('line\n');
    terminal.say('another\u0007');
    expect(printed()).toBe('half a [2J\na notice\nline\nanother\n');
    terminal.ring();
    expect(printed().endsWith('another\n\u0007')).toBe(true);
  });

  it('gives a line to the open question, and any other to the reader', async () => {
    const { input, terminal, printed } = open();
    const read: string[] = [];
    const both = Promise.withResolvers<undefined>();
    terminal.read((line) => {
      if (read.push(line) === 2) both.resolve(undefined);
    });
    const answers = [terminal.ask('First?'), terminal.ask('Second?')];
    input.write('one\n');
    expect(await answers[0]).toEqual({ type: 'answered', text: 'one' });
    input.write('two\n');
    expect(await answers[1]).toEqual({ type: 'answered', text: 'two' });
    input.write('three\r\nfour\n');
    await both.promise;
    expect(read).toEqual(['three', 'four']);
    expect(printed()).toBe('First?\nSecond?\n');
  });

  it('keeps early lines for questions that take them, and then for the reader', async () => {
    const { input, terminal } = open();
    const first = terminal.askAhead('First?');
    input.write('one\ntwo\nthree\n');
    expect(await first).toEqual({ type: 'answered', text: 'one' });
    expect(await terminal.askAhead('Second?')).toEqual({ type: 'answered', text: 'two' });
    // A line that was typed before the question confirms nothing.
    expect(await terminal.ask('Third?', 1)).toEqual({ type: 'late' });
    const read: string[] = [];
    terminal.read((line) => read.push(line));
    expect(read).toEqual(['three']);
  });

  it('waits no longer for an answer than it is told, and takes none afterwards', async () => {
    const { input, terminal } = open();
    expect(await terminal.ask('Well?', 1)).toEqual({ type: 'late' });
    const next = terminal.ask('Now?');
    input.write('yes\n');
    expect(await next).toEqual({ type: 'answered', text: 'yes' });
  });

  it('has nobody to ask when the input has ended', async () => {
    const { input, terminal, ended } = open();
    const asked = terminal.ask('Anybody?');
    input.end();
    expect(await asked).toEqual({ type: 'nobody' });
    await ended;
    expect(await terminal.ask('Still?')).toEqual({ type: 'nobody' });
  });

  it('has nobody to ask after it was closed', async () => {
    const { terminal } = open();
    const asked = terminal.ask('Anybody?');
    terminal.close();
    expect(await asked).toEqual({ type: 'nobody' });
  });
});
