import { randomInt } from 'node:crypto';
import { createSocket } from 'node:dgram';
import { createServer } from 'node:net';

/**
 * Below the range from which systems take the local ports of outgoing connections (32768 up on
 * Linux): the port of a process that is down for a moment cannot be taken by a connection that
 * somebody opens meanwhile.
 */
const RANGE = { from: 20_000, to: 32_000 };
const TRIES = 200;

/**
 * A port of 127.0.0.1 that nobody listens on, and that no process which lives, this one included,
 * was given before.
 */
export async function freePort({ from, to } = RANGE): Promise<number> {
  for (let tries = 0; tries < TRIES; tries++) {
    const port = randomInt(from, to);
    if ((await reserve(port)) && (await canListen(port))) return port;
  }
  throw new Error(`no free port found from ${from} to ${to}`);
}

/**
 * Takes the port of UDP with the same number for as long as this process lives, unless somebody
 * has it: nothing here uses UDP, and the system lets go of it whatever becomes of the process.
 */
function reserve(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = createSocket('udp4');
    socket.once('error', () => {
      socket.close();
      resolve(false);
    });
    socket.bind({ port, address: '127.0.0.1', exclusive: true }, () => {
      socket.unref();
      resolve(true);
    });
  });
}

function canListen(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(false));
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)));
  });
}
