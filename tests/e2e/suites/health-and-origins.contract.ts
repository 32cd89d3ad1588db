import { request as httpRequest } from 'node:http';
import { randomUUID } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { SBP_LEVEL, SBP_VERSION } from '#libs/protocol';
import { Agent, request } from '../clients/agent.js';
import { Failure } from '../clients/bodies.js';
import { refusedUpgrade, Surface } from '../clients/surface.js';
import type { GetServer } from '../topology/server.js';

const FOREIGN = [
  ['Host', 'evil.example'],
  ['Host', 'localhost.evil.example'],
  ['Host', '192.168.0.1:8080'],
  ['Origin', 'https://evil.example'],
  ['Origin', 'http://127.0.0.1.evil.example'],
  ['Origin', 'null'],
] as const;

const WELCOME = [
  ['Host', 'localhost'],
  ['Host', 'LOCALHOST:8080'],
  ['Host', '127.0.0.1:1'],
  ['Host', '[::1]:8080'],
  ['Origin', 'http://localhost:3000'],
  ['Origin', 'https://127.0.0.1'],
  ['Origin', 'https://allowed.example'],
] as const;

/** A request with headers that `fetch` does not let a program choose. */
async function raw(
  url: string,
  method: string,
  headers: Readonly<Record<string, string>>,
  body = '',
) {
  return new Promise<{ status: number; headers: Record<string, unknown>; text: string }>(
    (resolve, reject) => {
      const sent = httpRequest(url, { method, headers, agent: false }, (response) => {
        let text = '';
        response.setEncoding('utf8');
        response.on('data', (part: string) => (text += part));
        response.on('end', () =>
          resolve({ status: response.statusCode ?? 0, headers: response.headers, text }),
        );
      });
      sent.on('error', reject);
      sent.end(body);
    },
  );
}

export function healthAndOrigins(server: GetServer): void {
  describe('§10 health', () => {
    // [SBP-SEC-10]
    it.for(['completions', 'gateway', 'sessions'] as const)(
      'is told by every replica of %s',
      async (service) => {
        const { url, replicas } = server();
        for (const each of [url, ...Object.values(replicas(service))]) {
          expect(await request(`${each}/health`)).toMatchObject({
            status: 200,
            json: {
              status: 'ok',
              sbp_version: SBP_VERSION,
              sbp_level: SBP_LEVEL,
              backend: expect.stringMatching(/./) as unknown,
            },
          });
          for (const path of ['/health/live', '/health/ready']) {
            expect(await request(`${each}${path}`)).toMatchObject({
              status: 200,
              json: { status: 'ok' },
            });
            expect(await request(`${each}${path}`, { method: 'HEAD' })).toMatchObject({
              status: 200,
              text: '',
            });
          }
        }
      },
    );
  });

  describe('§10 no web page reaches a local server by another name', () => {
    // [SBP-SEC-03] [SBP-SEC-04] [SBP-ERR-05]
    it.for(FOREIGN)('%s %s is refused everywhere, and nothing is begun', async ([name, value]) => {
      const { url } = server();
      const agent = new Agent(url);
      const { sbp } = await agent.turn('Hello.');
      const before = await agent.session(sbp.session_id);
      const body = JSON.stringify({
        model: 'gpt-4o',
        messages: [{ role: 'user', content: 'Hello.' }],
        sbp: {},
      });
      const headers = { [name]: value, 'x-agent-id': agent.id };
      const requests = [
        ['GET', '/health', ''],
        ['GET', `/v1/sbp/sessions/${sbp.session_id}`, ''],
        ['POST', `/v1/sbp/sessions/${sbp.session_id}/export`, '{}'],
        ['POST', '/v1/chat/completions', body],
      ] as const;
      for (const [method, path, text] of requests) {
        const answer = await raw(`${url}${path}`, method, headers, text);
        expect(answer.status).toBe(403);
        expect(Failure.parse(JSON.parse(answer.text)).error.code).toBe('SBP_FORBIDDEN');
        expect(answer.headers['access-control-allow-origin']).toBeUndefined();
      }
      expect(await refusedUpgrade(url, `/v1/sbp/ws/${sbp.session_id}`, { [name]: value })).toBe(
        403,
      );
      expect(await agent.session(sbp.session_id)).toEqual(before);
    });

    it.for(WELCOME)('%s %s is welcome', async ([name, value]) => {
      const { url } = server();
      const { sbp } = await new Agent(url).turn('Hello.');
      const answer = await raw(`${url}/v1/sbp/sessions/${sbp.session_id}`, 'GET', {
        [name]: value,
      });
      expect(answer.status).toBe(200);
      if (name === 'Origin') expect(answer.headers['access-control-allow-origin']).toBe(value);
      const surface = await Surface.connect(url, sbp.session_id, { headers: { [name]: value } });
      surface.attach(sbp);
      await surface.next('SESSION_ATTACHED');
    });

    it('a page that is welcome may read the session headers of a streamed answer', async () => {
      const agent = new Agent(server().url);
      const stream = await agent.stream(
        'Hello.',
        {},
        { headers: { origin: 'https://allowed.example' } },
      );
      expect(stream.headers.get('access-control-allow-origin')).toBe('https://allowed.example');
      expect(stream.headers.get('access-control-expose-headers')?.toLowerCase()).toContain(
        'x-session-token',
      );
      await stream.whole();
      const preflight = await raw(`${server().url}/v1/chat/completions`, 'OPTIONS', {
        Origin: 'https://allowed.example',
        'Access-Control-Request-Method': 'POST',
        'Access-Control-Request-Headers': 'content-type,x-session-token',
      });
      expect(preflight.status).toBe(204);
      expect(preflight.headers['access-control-allow-origin']).toBe('https://allowed.example');
    });

    it('an upgrade to a session that does not exist is for the frames to say', async () => {
      expect(await refusedUpgrade(server().url, `/v1/sbp/ws/${randomUUID()}`, {})).toBe('opened');
    });
  });
}
