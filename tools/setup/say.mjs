/** Progress goes to stderr: stdout belongs to the program that is run. */
export function say(message) {
  process.stderr.write(`[setup] ${message}\n`);
}
