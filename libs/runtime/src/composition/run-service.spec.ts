import { expect, it } from 'vitest';
import { startProblem } from './run-service.js';

function listenError(code: string, port: number): Error {
  const message = `listen ${code}: 127.0.0.1`;
  return Object.assign(new Error(message), {
    code,
    syscall: 'listen',
    address: '127.0.0.1',
    port,
  });
}

it('a port without permission is named, with what to do', () => {
  expect(startProblem(listenError('EACCES', 80))).toBe(
    'Port 80 of 127.0.0.1 may not be used by this user (EACCES). ' +
      'Choose another with --port: those from 1024 on need no permission.',
  );
});

it('an address that is not here is named', () => {
  expect(startProblem(listenError('EADDRNOTAVAIL', 80))).toMatch(/^127\.0\.0\.1 is no address/);
});

it('what nobody expected is told with its stack', () => {
  expect(startProblem(new Error('boom'))).toMatch(/^Error: boom\n +at /);
  expect(startProblem(listenError('EINVAL', 80))).toMatch(/\n +at /);
});
