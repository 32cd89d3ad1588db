// A surface: attaches to a session, prints every frame, and leaves at Ctrl-C.
const [sessionId = '', sessionToken = ''] = process.argv.slice(2);
const server = process.env['SBP_URL'] ?? 'http://localhost:8080';

const socket = new WebSocket(`${server.replace(/^http/, 'ws')}/v1/sbp/ws/${sessionId}`);
const send = (frame: object): void => socket.send(JSON.stringify(frame));

socket.addEventListener('open', () => {
  send({
    type: 'ATTACH_SESSION',
    session_id: sessionId,
    session_token: sessionToken,
    // `acknowledges` says that only our own PONG counts, not that of the WebSocket library.
    surface_context: { device_type: 'desktop', acknowledges: true },
  });
});
socket.addEventListener('message', ({ data }) => {
  const frame = JSON.parse(String(data)) as { readonly type: string };
  console.log(frame);
  // It says: all that came before this PING was read, and need not come again.
  if (frame.type === 'PING') send({ type: 'PONG' });
});
socket.addEventListener('close', ({ code, reason }) => console.log('closed', code, reason));

process.once('SIGINT', () => send({ type: 'DETACH' }));
