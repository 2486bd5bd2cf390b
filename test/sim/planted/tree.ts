/**
 * Copies of the project that can run by themselves, each with one bug planted.
 *
 * The sources are compiled module by module (types erased, nothing checked: that is the build's business) into a
 * directory of their own, once; a bug's copy is those modules with the patched ones compiled anew. They run in processes
 * of their own, so nothing of the present process is touched.
 */
import { copyFileSync, cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import ts from 'typescript';
import { applyPatch, type PlantedBug } from './bug.ts';

/** What a simulated cluster is made of. */
const roots = ['client', 'node', 'test/sim'];

/** The project, from wherever this module runs: its sources or what they were compiled to. */
export const project = ((): string => {
  let directory = path.dirname(fileURLToPath(import.meta.url));
  while (!existsSync(path.join(directory, 'package.json'))) directory = path.dirname(directory);
  return directory;
})();

export function readModule(module: string): string {
  return readFileSync(path.join(project, module), 'utf8');
}

/** The sources that a bug changes, with the bug. Throws if a patch doesn't fit. */
export function plantedSources({ name, patches }: PlantedBug): Map<string, string> {
  const sources = new Map<string, string>();
  for (const patch of patches) sources.set(patch.module, applyPatch(sources.get(patch.module) ?? readModule(patch.module), patch, name));
  return sources;
}

/** A temporary directory of compiled trees. */
export class Trees {
  readonly #directory = mkdtempSync(path.join(os.tmpdir(), 'dtp-cluster-planted-'));
  #bare: string | null = null;

  /** The tree without a bug. */
  get bare(): string {
    if (this.#bare !== null) return this.#bare;
    const tree = path.join(this.#directory, 'bare');
    for (const module of roots.flatMap(modulesIn)) compileInto(tree, module, readModule(module));
    copyFileSync(path.join(project, 'package.json'), path.join(tree, 'package.json'));
    symlinkSync(path.join(project, 'node_modules'), path.join(tree, 'node_modules'), 'dir');
    return (this.#bare = tree);
  }

  /** A tree with this bug. */
  plant(bug: PlantedBug): string {
    const tree = path.join(this.#directory, bug.name);
    cpSync(this.bare, tree, { recursive: true, verbatimSymlinks: true });
    for (const [module, source] of plantedSources(bug)) compileInto(tree, module, source);
    return tree;
  }

  remove(): void {
    rmSync(this.#directory, { recursive: true, force: true });
  }
}

function modulesIn(directory: string): string[] {
  return readdirSync(path.join(project, directory), { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith('.ts') && !file.endsWith('.test.ts'))
    .map((file) => path.posix.join(directory, file.split(path.sep).join('/')));
}

const compilerOptions: ts.CompilerOptions = {
  target: ts.ScriptTarget.ES2022, module: ts.ModuleKind.ESNext, verbatimModuleSyntax: true, allowImportingTsExtensions: true, rewriteRelativeImportExtensions: true,
};

function compileInto(tree: string, module: string, source: string): void {
  const { outputText, diagnostics } = ts.transpileModule(source, { compilerOptions, fileName: module, reportDiagnostics: true });
  const [fault] = diagnostics ?? [];
  if (fault !== undefined) throw new Error(`${module} can't be compiled: ${ts.flattenDiagnosticMessageText(fault.messageText, '\n')}`);
  const file = path.join(tree, module.replace(/\.ts$/, '.js'));
  mkdirSync(path.dirname(file), { recursive: true });
  writeFileSync(file, outputText);
}
