// Exports a session, and prints the signed token that stands for it.
const [sessionId = '', sessionToken = ''] = process.argv.slice(2);
const server = process.env['SBP_URL'] ?? 'http://localhost:8080';

const response = await fetch(`${server}/v1/sbp/sessions/${sessionId}/export`, {
  method: 'POST',
  headers: { 'Content-Type': 'application/json', 'X-Session-Token': sessionToken },
  body: JSON.stringify({ ttl_seconds: 3600, label: 'from an example' }),
});
if (!response.ok) throw new Error(`${response.status}: ${await response.text()}`);

const exported = (await response.json()) as {
  readonly roaming_token: string;
  readonly expires_at: string;
  readonly message_count: number;
};
console.log(`${exported.message_count} messages, until ${exported.expires_at}:`);
console.log(exported.roaming_token);
