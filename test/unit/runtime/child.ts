/** Child processes for tests: what a process leaves behind when it is killed, only a killed process can show. */
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import ts from 'typescript';

const root = fileURLToPath(new URL('../../../', import.meta.url));
const compilerOptions: ts.CompilerOptions = { module: ts.ModuleKind.ESNext, target: ts.ScriptTarget.ES2022, verbatimModuleSyntax: true, rewriteRelativeImportExtensions: true };

export interface Child {
  /** The lines it has printed so far. */
  readonly lines: string[];
  /** Resolves when it has printed so many lines; rejects if it ends before. */
  printed(count: number): Promise<void>;
  kill(): void;
  /** Its exit code, or the signal that ended it. */
  readonly ended: Promise<number | NodeJS.Signals>;
}

/** Runs scripts of `children/`, compiled into a directory that the caller removes. */
export class ChildRunner {
  readonly #directory: string;
  readonly #compiled = new Set<string>();

  constructor(directory: string) {
    this.#directory = directory;
    mkdirSync(directory, { recursive: true });
    writeFileSync(join(directory, 'package.json'), '{ "type": "module" }');
    symlinkSync(join(root, 'node_modules'), join(directory, 'node_modules'));
  }

  run(script: string, ...args: string[]): Child {
    const compiled = this.#compile(pathOf(script));
    return watch(script, spawn(process.execPath, [compiled, ...args], { stdio: ['ignore', 'pipe', 'inherit'] }));
  }

  /** Runs a script that can't make files larger than so many blocks (of 512 or 1,024 bytes, as the shell has it). */
  runLimited(blocks: number, script: string, ...args: string[]): Child {
    const compiled = this.#compile(pathOf(script));
    return watch(script, spawn('/bin/sh', ['-c', `ulimit -f ${blocks}; exec "$0" "$@"`, process.execPath, compiled, ...args], { stdio: ['ignore', 'pipe', 'inherit'] }));
  }

  /** Compiles a source and what it imports of the project, at the same places below the directory; returns the path. */
  #compile(path: string): string {
    const output = join(this.#directory, relative(root, path)).replace(/\.ts$/, '.js');
    if (this.#compiled.has(path)) return output;
    this.#compiled.add(path);
    const source = readFileSync(path, 'utf8');
    mkdirSync(dirname(output), { recursive: true });
    writeFileSync(output, ts.transpileModule(source, { compilerOptions }).outputText);
    for (const { fileName } of ts.preProcessFile(source).importedFiles) {
      if (fileName.startsWith('.')) this.#compile(join(dirname(path), fileName));
    }
    return output;
  }
}

function pathOf(script: string): string {
  return fileURLToPath(new URL(`./children/${script}`, import.meta.url));
}

function watch(script: string, child: ChildProcess): Child {
  const lines: string[] = [];
  let rest = '';
  let look = (): void => {};
  child.stdout!.setEncoding('utf8').on('data', (text: string) => {
    const parts = (rest + text).split('\n');
    rest = parts.pop()!;
    lines.push(...parts);
    look();
  });
  const ended = new Promise<number | NodeJS.Signals>((resolve) => child.once('close', (code, signal) => resolve(code ?? signal!)));
  return {
    lines,
    printed: (count) => new Promise((resolve, reject) => {
      look = () => {
        if (lines.length >= count) resolve();
      };
      void ended.then((how) => reject(new Error(`${script} ended with ${how} after ${lines.length} lines`)));
      look();
    }),
    kill: () => void child.kill('SIGKILL'),
    ended,
  };
}
