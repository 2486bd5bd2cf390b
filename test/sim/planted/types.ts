/** Whether planted sources still fit the types around them: a replacement that names what is gone would be caught for the wrong reason. */
import path from 'node:path';
import ts from 'typescript';
import type { PlantedBug } from './bug.ts';
import { plantedSources, project } from './tree.ts';

/** Checks many bugs at the cost of a few compilations: those that change different modules are checked together. */
export class TypeChecker {
  readonly #overlay = new Map<string, { text: string; version: number }>();
  readonly #service: ts.LanguageService;
  #version = 0;

  constructor() {
    const config = ts.getParsedCommandLineOfConfigFile(path.join(project, 'tsconfig.json'), { noUnusedLocals: false, noUnusedParameters: false }, { ...ts.sys, onUnRecoverableConfigFileDiagnostic: () => {} });
    if (config === undefined) throw new Error('tsconfig.json can’t be read');
    this.#service = ts.createLanguageService({
      getCompilationSettings: () => config.options,
      getScriptFileNames: () => [path.join(project, 'test/sim/run.ts')],
      getScriptVersion: (file) => String(this.#overlay.get(file)?.version ?? 0),
      getScriptSnapshot: (file) => {
        const text = this.#overlay.get(file)?.text ?? ts.sys.readFile(file);
        return text === undefined ? undefined : ts.ScriptSnapshot.fromString(text);
      },
      getCurrentDirectory: () => project,
      getDefaultLibFileName: ts.getDefaultLibFilePath,
      fileExists: ts.sys.fileExists, readFile: ts.sys.readFile, readDirectory: ts.sys.readDirectory, directoryExists: ts.sys.directoryExists, getDirectories: ts.sys.getDirectories,
    });
  }

  /** What is wrong with the modules that the bugs change, each in the compiler's words behind the bug's name. */
  faultsOf(bugs: readonly PlantedBug[]): string[] {
    return batchesOf(bugs).flatMap((batch) => {
      const planted = batch.flatMap((bug) => [...plantedSources(bug)].map(([module, text]) => ({ name: bug.name, file: path.join(project, module), text })));
      const others = [...this.#overlay.keys()].filter((file) => !planted.some((each) => each.file === file));
      for (const { file, text } of [...planted, ...others.map((file) => ({ file, text: ts.sys.readFile(file) ?? '' }))]) {
        if (this.#overlay.get(file)?.text !== text) this.#overlay.set(file, { text, version: ++this.#version });
      }
      return planted.flatMap(({ name, file }) => this.#service.getSemanticDiagnostics(file).map(({ messageText }) => `${name}: ${ts.flattenDiagnosticMessageText(messageText, '\n')}`));
    });
  }
}

function batchesOf(bugs: readonly PlantedBug[]): PlantedBug[][] {
  const batches: { readonly bugs: PlantedBug[]; readonly modules: Set<string> }[] = [];
  for (const bug of bugs) {
    let batch = batches.find(({ modules }) => bug.patches.every(({ module }) => !modules.has(module)));
    if (batch === undefined) batches.push((batch = { bugs: [], modules: new Set() }));
    batch.bugs.push(bug);
    for (const { module } of bug.patches) batch.modules.add(module);
  }
  return batches.map((batch) => batch.bugs);
}
