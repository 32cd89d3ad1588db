/* global AbortSignal, fetch */
// Ends with 0 where the service of this container takes requests.
const url = `http://127.0.0.1:${process.env['SBP_PORT']}/health/ready`;
const ready = await fetch(url, { signal: AbortSignal.timeout(4000) }).then(
  ({ ok }) => ok,
  () => false,
);
process.exitCode = ready ? 0 : 1;
