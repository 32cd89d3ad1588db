// Prints `<passed> <failed>` of Vitest's JSON report, and on standard error what failed and why.
// Arguments: the report, and the exit code of the run.
import { readFileSync } from 'node:fs';

const [file, exitCode] = process.argv.slice(2);
let report = { numPassedTests: 0, numFailedTests: 0, testResults: [] };
try {
  report = JSON.parse(readFileSync(file, 'utf8'));
} catch {
  // No report was written: the run failed before its tests.
}
for (const { name, status, message, assertionResults } of report.testResults) {
  if (status === 'failed' && message) console.error(`== FAILED file ${name}: ${message}`);
  for (const test of assertionResults) {
    if (test.status !== 'failed') continue;
    const why = test.failureMessages.join('\n').slice(0, 2_000);
    console.error(`== FAILED test ${name}: ${test.fullName}\n${why}`);
  }
}
const failed = report.numFailedTests === 0 && exitCode !== '0' ? 1 : report.numFailedTests;
console.log(`${report.numPassedTests} ${failed}`);
