import { pause } from '#libs/timing';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import { Readiness } from './readiness.js';

const RETRY_MS = 100;

/** Where an application that listens is reached, such as `http://127.0.0.1:8080`. */
export function addressOf(app: NestFastifyApplication): string {
  const address = app.getHttpServer().address();
  if (address === null || typeof address === 'string')
    throw new Error('The application does not listen on a port.');
  return `http://${address.family === 'IPv6' ? `[${address.address}]` : address.address}:${address.port}`;
}

/**
 * Waits until the application is ready, then writes the one line on stdout that supervisors wait
 * for: `{"listening":"http://127.0.0.1:PORT"}`. Writes nothing if `signal` aborts first.
 */
export async function announceWhenReady(
  app: NestFastifyApplication,
  signal: AbortSignal,
  write: (line: string) => void = (line) => void process.stdout.write(line),
): Promise<void> {
  const readiness = app.get(Readiness, { strict: false });
  for (;;) {
    const { ready } = await readiness.report();
    if (signal.aborted) return;
    if (ready) {
      write(`${JSON.stringify({ listening: addressOf(app) })}\n`);
      return;
    }
    await pause(RETRY_MS, signal);
  }
}
