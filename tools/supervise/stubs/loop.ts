/** Says that it listens, answers its channel, and lives until a signal ends it. */
process.stdout.write(
  `${JSON.stringify({ listening: `http://127.0.0.1:${process.env['STUB_PORT'] ?? '1'}` })}\n`,
);
process.on('message', (message) => process.send?.({ echo: message }));
setInterval(() => undefined, 60_000);
