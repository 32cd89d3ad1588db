// A surface that returns whenever its connection ends, as often as that makes sense, and shows
// each turn once.
import { setTimeout as delay } from 'node:timers/promises';

type Frame =
  | { readonly type: 'SESSION_ATTACHED'; readonly session_token: string }
  | { readonly type: 'TETHER_TURN'; readonly seq: number; readonly content: string }
  | { readonly type: 'TURN_CHUNK'; readonly chunk_id: string; readonly delta: string }
  | { readonly type: 'TURN_COMPLETE'; readonly seq: number; readonly chunk_id: string }
  | { readonly type: 'PING' }
  | {
      readonly type: 'FORBIDDEN' | 'SESSION_NOT_FOUND' | 'PROTOCOL_ERROR';
      readonly detail: string;
    };

const server = process.env['SBP_URL'] ?? 'http://localhost:8080';
const sessionId = process.argv[2] ?? '';
// An app keeps these two where they outlive it, next to what it shows.
let sessionToken = process.argv[3] ?? '';
let lastSeq = 0;

/** One connection, from its beginning to its end. Resolves with its close code. */
function connect(onAttached: () => void): Promise<number> {
  const socket = new WebSocket(`${server.replace(/^http/, 'ws')}/v1/sbp/ws/${sessionId}`);
  const send = (frame: object): void => socket.send(JSON.stringify(frame));
  // Text of turns that have not ended. It ends with the connection: the next one begins it anew.
  const unfinished = new Map<string, string>();

  socket.addEventListener('open', () => {
    send({
      type: 'ATTACH_SESSION',
      session_id: sessionId,
      session_token: sessionToken,
      surface_context: { acknowledges: true },
    });
  });
  socket.addEventListener('message', ({ data }) => {
    const frame = JSON.parse(String(data)) as Frame;
    switch (frame.type) {
      case 'SESSION_ATTACHED':
        sessionToken = frame.session_token;
        onAttached();
        break;
      case 'TETHER_TURN':
        show(frame.seq, frame.content);
        break;
      case 'TURN_CHUNK':
        unfinished.set(frame.chunk_id, (unfinished.get(frame.chunk_id) ?? '') + frame.delta);
        break;
      case 'TURN_COMPLETE':
        show(frame.seq, unfinished.get(frame.chunk_id) ?? '');
        unfinished.delete(frame.chunk_id);
        break;
      case 'PING':
        send({ type: 'PONG' });
        break;
      case 'FORBIDDEN':
      case 'SESSION_NOT_FOUND':
      case 'PROTOCOL_ERROR':
        console.log(frame.detail);
        break;
    }
  });
  return new Promise((resolve) => {
    socket.addEventListener('close', ({ code }) => resolve(code));
  });
}

/** A turn whose PONG was lost comes again, so `seq` tells whether it was shown. */
function show(seq: number, text: string): void {
  if (seq <= lastSeq) return;
  lastSeq = seq;
  console.log(`turn ${seq}: ${text}`);
}

/** What a close code asks for; 1006 is a connection that was lost. */
function waitAfter(code: number, failures: number): number | 'stay away' {
  // Up to twice as long by chance, so that not all surfaces of a server return in one moment.
  const later = (firstMs: number): number =>
    Math.min(30_000, firstMs * 2 ** Math.min(failures, 8)) * (1 + Math.random());
  switch (code) {
    case 1006: // the network, or the server, is gone
    case 1012: // the server goes away; another one may be there already
    case 4008: // our PONG did not arrive
      return failures === 0 ? 0 : later(250);
    case 1013: // the server has too much to do
      return later(2_000);
    default: // 4009: another surface took over. The rest: to try the same again cannot help
      return 'stay away';
  }
}

for (let failures = 0; ; failures++) {
  const code = await connect(() => {
    failures = 0;
    console.log('attached');
  });
  const wait = waitAfter(code, failures);
  console.log(`closed with ${code}:`, wait === 'stay away' ? wait : `back in ${wait} ms`);
  if (wait === 'stay away') break;
  await delay(wait);
}
