/**
 * Reads Jest's result files; where a suite ran twice the later file counts.
 *   count-tests.mjs FILE...            ends with one line for people and machines: `N passed, N failed`
 *   count-tests.mjs --failed FILE      the suites of a file that failed, one path a line
 */
import { readFileSync } from 'node:fs';

const listing = process.argv[2] === '--failed';
const suites = new Map();
for (const file of process.argv.slice(listing ? 3 : 2)) {
  try {
    const { testResults } = JSON.parse(readFileSync(file, 'utf8'));
    if (testResults.length === 0) throw new Error('no test ran');
    for (const { name, status, assertionResults } of testResults) {
      const count = (wanted) => assertionResults.filter((test) => test.status === wanted).length;
      // A file that cannot even be loaded has no tests to fail, and must not count as fine.
      const failed = Math.max(count('failed'), status === 'failed' ? 1 : 0);
      suites.set(name, { passed: count('passed'), failed });
    }
  } catch (error) {
    console.error(`${file}: ${error instanceof Error ? error.message : String(error)}`);
    suites.set(file, { passed: 0, failed: 1 });
  }
}

if (listing) {
  for (const [name, { failed }] of suites) if (failed > 0) console.log(name);
} else {
  const sum = (key) => [...suites.values()].reduce((total, counts) => total + counts[key], 0);
  console.log(`${sum('passed')} passed, ${sum('failed')} failed`);
  process.exitCode = sum('failed') > 0 ? 1 : 0;
}
