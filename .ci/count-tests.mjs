// Prints `<passed> <failed>` of Vitest's JSON report. Arguments: the report, and the exit code of
// the run.
import { readFileSync } from 'node:fs';

const [file, exitCode] = process.argv.slice(2);
let report = { numPassedTests: 0, numFailedTests: 0 };
try {
  report = JSON.parse(readFileSync(file, 'utf8'));
} catch {
  // No report was written: the run failed before its tests.
}
const failed = report.numFailedTests === 0 && exitCode !== '0' ? 1 : report.numFailedTests;
console.log(`${report.numPassedTests} ${failed}`);
