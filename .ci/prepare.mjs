/**
 * Makes a fresh clone runnable: the right Node, the packages of package-lock.json, the compiled sources. What is
 * already there is left alone, so that every `npm start` and `npm test` can begin with it. Says what it does.
 *
 *   node .ci/prepare.mjs                          prepare, and no more
 *   node .ci/prepare.mjs --then <file> [args...]  then run that file in this process
 *
 * `--then` rather than `&&` in an npm script: a signal to npm ends the shell between it and the commands, which passes
 * nothing on. So here the end of that shell counts as the signal, and nothing is left running without a parent.
 *
 * Plain JavaScript on Node alone: it runs before anything is installed.
 */
import { spawn } from 'node:child_process';
import { chmodSync, readFileSync, rmSync, symlinkSync } from 'node:fs';
import { fileURLToPath, pathToFileURL } from 'node:url';
import path from 'node:path';

const root = path.dirname(path.dirname(fileURLToPath(import.meta.url)));
/** The oldest Node with what the sources use: `crc32` of node:zlib among it. */
const nodeVersionMin = [20, 15];
/** An install over a slow network takes minutes: a line this often shows that it lives. */
const progressIntervalMs = 5_000;
const parentIntervalMs = 500;

const say = (line) => process.stdout.write(`prepare: ${line}\n`);

class Failure extends Error {}

function checkNode() {
  const [major, minor] = process.versions.node.split('.').map(Number);
  if (major > nodeVersionMin[0] || (major === nodeVersionMin[0] && minor >= nodeVersionMin[1])) return;
  throw new Failure(`this is Node ${process.versions.node}, and dtp-cluster needs ${nodeVersionMin.join('.')} or newer; install one from nodejs.org`);
}

function readJson(file) {
  try {
    return JSON.parse(readFileSync(path.join(root, file), 'utf8'));
  } catch {
    return undefined;
  }
}

/**
 * Whether node_modules holds what the lock file asks for, by content rather than by dates: a checkout or an unpacked
 * archive may have any dates, and a needless install takes the packages away from whatever runs.
 */
function missingPackages() {
  const wanted = readJson('package-lock.json')?.packages;
  if (wanted === undefined) throw new Failure('package-lock.json is missing or damaged; restore it with: git checkout package-lock.json');
  const present = readJson('node_modules/.package-lock.json')?.packages;
  if (present === undefined) return Object.keys(wanted).length - 1;
  const missing = Object.entries(wanted).filter(([place, entry]) => {
    if (place === '') return false;
    const found = present[place];
    // Optional packages are those of other platforms, unless they are there.
    return found === undefined ? !entry.optional && !entry.peer : found.version !== entry.version;
  });
  return missing.length;
}

/** Runs a program with its output shown, and a line now and then while it says nothing. */
function run(what, command, args) {
  return new Promise((resolve, reject) => {
    const startedMs = Date.now();
    const child = spawn(command, args, { cwd: root, stdio: ['ignore', 'inherit', 'inherit'], shell: false });
    const progress = setInterval(() => say(`still ${what}, ${Math.round((Date.now() - startedMs) / 1_000)} s`), progressIntervalMs);
    const end = (failure) => {
      clearInterval(progress);
      if (failure === undefined) resolve(Date.now() - startedMs);
      else reject(new Failure(failure));
    };
    child.once('error', (error) => end(`${command} can't be run: ${error.message}`));
    child.once('exit', (code, signal) => end(code === 0 ? undefined : `${what} failed (${signal ?? `exit code ${code}`}); the reason is above`));
  });
}

async function install() {
  const missing = missingPackages();
  if (missing === 0) return;
  say(`installing ${missing === 1 ? '1 package' : `${missing} packages`} (npm ci) ...`);
  const npm = process.env['npm_execpath'];
  const args = ['ci', '--include=dev', '--no-audit', '--no-fund', '--loglevel=error'];
  const tookMs = await (npm?.endsWith('.js') === true
    ? run('installing', process.execPath, [npm, ...args])
    : run('installing', process.platform === 'win32' ? 'npm.cmd' : 'npm', args));
  say(`installed in ${(tookMs / 1_000).toFixed(1)} s`);
}

async function build() {
  say('building (tsc) ...');
  // The compiler keeps in dist/.tsbuildinfo what it built from which sources, and redoes only what changed.
  const tookMs = await run('building', process.execPath, [path.join('node_modules', 'typescript', 'bin', 'tsc'), '-p', '.', '--pretty', String(process.stdout.isTTY === true)]);
  say(`built in ${(tookMs / 1_000).toFixed(1)} s`);
}

/** So that `npx dtp` works in the clone itself: npm links the commands of dependencies, not those of the package at hand. */
function linkCommand() {
  if (process.platform === 'win32') return;
  const link = path.join(root, 'node_modules', '.bin', 'dtp');
  const program = path.join(root, 'dist', 'client', 'cli', 'main.js');
  chmodSync(program, 0o755);
  rmSync(link, { force: true });
  symlinkSync(path.relative(path.dirname(link), program), link);
}

try {
  checkNode();
  await install();
  await build();
  linkCommand();
} catch (error) {
  if (!(error instanceof Failure)) throw error;
  process.stderr.write(`prepare: ${error.message}\n`);
  process.exit(1);
}

function endWithParent() {
  const parent = process.ppid;
  setInterval(() => {
    if (process.ppid !== parent) process.kill(process.pid, 'SIGTERM');
  }, parentIntervalMs).unref();
}

const [flag, file, ...rest] = process.argv.slice(2);
if (flag === '--then' && file !== undefined) {
  const target = path.join(root, file);
  if (process.env['npm_lifecycle_event'] !== undefined) endWithParent();
  process.argv = [process.execPath, target, ...rest];
  await import(pathToFileURL(target).href);
}
