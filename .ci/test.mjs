/**
 * Runs the tests with vitest's own progress on the terminal, and ends with one line that counts them:
 * `N passed, N failed`. Arguments go to vitest. The exit code is vitest's.
 */
import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const root = path.dirname(path.dirname(fileURLToPath(import.meta.url)));
const directory = mkdtempSync(path.join(os.tmpdir(), 'dtp-cluster-tests-'));
const resultFile = path.join(directory, 'result.json');

function readResult() {
  try {
    return JSON.parse(readFileSync(resultFile, 'utf8'));
  } catch {
    return { numPassedTests: 0, numFailedTests: 0, testResults: [] };
  }
}

function summary(code) {
  const { numPassedTests, numFailedTests, testResults } = readResult();
  // A file that can't be loaded, or whose hooks fail, fails without a failing test of its own.
  const failedFiles = testResults.filter((file) => file.status === 'failed' && !file.assertionResults.some((test) => test.status === 'failed')).length;
  const failed = numFailedTests + failedFiles;
  return `${numPassedTests} passed, ${code !== 0 && failed === 0 ? 1 : failed} failed`;
}

const vitest = spawn(
  process.execPath,
  [path.join(root, 'node_modules', 'vitest', 'vitest.mjs'), 'run', '--reporter=default', '--reporter=json', `--outputFile.json=${resultFile}`, ...process.argv.slice(2)],
  { cwd: root, stdio: ['ignore', 'inherit', 'inherit'] },
);
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => vitest.kill(signal));
vitest.once('exit', (code, signal) => {
  process.stdout.write(`${summary(code ?? 1)}\n`);
  rmSync(directory, { recursive: true, force: true });
  if (signal !== null) process.stderr.write(`vitest was ended by ${signal}\n`);
  process.exitCode = code ?? 1;
});
