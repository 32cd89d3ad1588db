// Posts a question and does not wait: the turn runs without its caller, and is read later.
const server = process.env['SBP_URL'] ?? 'http://localhost:8080';

const posted = await fetch(`${server}/v1/chat/completions`, {
  method: 'POST',
  headers: {
    'Content-Type': 'application/json',
    'X-Agent-ID': 'background',
    // Sent again after a lost connection, it is the same turn.
    'Idempotency-Key': crypto.randomUUID(),
  },
  body: JSON.stringify({
    model: 'gpt-4o',
    messages: [{ role: 'user', content: 'Compare three routes to Kyoto.' }],
    sbp: { background: true },
  }),
});
if (posted.status !== 202) throw new Error(`${posted.status}: ${await posted.text()}`);
const { sbp } = (await posted.json()) as {
  readonly sbp: { readonly session_id: string; readonly turn_id: string };
};
console.log(`The turn ${sbp.turn_id} is in the log.`);

// From here on any device may go on. The text comes as it is made, and ends with the turn.
const turn = `${server}/v1/sbp/sessions/${sbp.session_id}/turns/${sbp.turn_id}`;
await (await fetch(`${turn}/stream`)).text();
const ended = (await (await fetch(turn)).json()) as {
  readonly status: string;
  readonly content: string | null;
};
console.log(`${ended.status}: ${ended.content ?? ''}`);
