import { describe, expect, it } from 'vitest';
import { CLOSE, ClientFrame, ROUTES, ServerFrame } from '#libs/protocol';
import { textOf } from './repository.js';

describe('docs/protocol.md, with the pages that are parts of it,', () => {
  const text = textOf('docs/protocol.md');
  const whole = `${text}${textOf('docs/roaming.md')}${textOf('docs/consumers.md')}`;
  const missing = (names: readonly string[]): readonly string[] =>
    names.filter((name) => !whole.includes(`\`${name}`));

  it('names every route', () => {
    const routes = ROUTES.map(({ method, path }) => ({ method, path }));
    const absent = routes.filter(({ method, path }) => {
      const short = path.replace('{session_id}', '{id}');
      return missing([`${method} ${path}`, `${method} ${short}`, path, short]).length === 4;
    });
    expect(absent).toEqual([]);
  });

  it('names every frame', () => {
    const frames = [...ClientFrame.options, ...ServerFrame.options];
    expect(missing(frames.map(({ shape }) => shape.type.value))).toEqual([]);
  });

  it('says of every close code what the client should do', () => {
    const codes = Object.values(CLOSE).map(({ code }) => code);
    expect(codes.filter((code) => !new RegExp(`^\\| ${code} `, 'm').test(text))).toEqual([]);
  });
});
