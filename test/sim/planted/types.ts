/** Whether planted sources still fit the types around them: a replacement that names what is gone would be caught for the wrong reason. */
import path from 'node:path';
import ts from 'typescript';
import type { PlantedBug } from './bug.ts';
import { plantedSources, project } from './tree.ts';

/** Checks many bugs at the cost of one compilation and of the modules that they change. */
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

  /** What is wrong with the modules that the bug changes, in the compiler's words. */
  faultsOf(bug: PlantedBug): string[] {
    const planted = [...plantedSources(bug)].map(([module, text]) => [path.join(project, module), text] as const);
    for (const [file, text] of planted) this.#overlay.set(file, { text, version: ++this.#version });
    const faults = planted.flatMap(([file]) => this.#service.getSemanticDiagnostics(file)).map(({ messageText }) => ts.flattenDiagnosticMessageText(messageText, '\n'));
    for (const [file] of planted) this.#overlay.set(file, { text: ts.sys.readFile(file) ?? '', version: ++this.#version });
    return faults;
  }
}
