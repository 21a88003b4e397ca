/** Adds up Jest's result files and ends with one line for people and machines: `N passed, N failed`. */
import { readFileSync } from 'node:fs';

let passed = 0;
let failed = 0;
for (const file of process.argv.slice(2)) {
  try {
    const result = JSON.parse(readFileSync(file, 'utf8'));
    if (result.numTotalTests === 0) throw new Error('no test ran');
    passed += result.numPassedTests;
    // A file that cannot even be loaded has no tests to fail, and must not count as fine.
    failed += result.numFailedTests + result.numRuntimeErrorTestSuites;
  } catch (error) {
    console.error(`${file}: ${error instanceof Error ? error.message : String(error)}`);
    failed += 1;
  }
}
console.log(`${passed} passed, ${failed} failed`);
process.exitCode = failed > 0 ? 1 : 0;
