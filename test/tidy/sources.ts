/** The project's own source files, as the tidy test reads them. */
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import ts from 'typescript';

export const root = fileURLToPath(new URL('../..', import.meta.url));

export interface Source {
  /** From the root of the repository, with forward slashes. */
  readonly path: string;
  readonly text: string;
  readonly tree: ts.SourceFile;
}

export function parse(sourcePath: string, text: string): Source {
  return { path: sourcePath, text, tree: ts.createSourceFile(sourcePath, text, ts.ScriptTarget.ES2022, true) };
}

const directories = ['client', 'node', 'bench', 'test', '.ci'];

export function readSources(): Source[] {
  return directories
    .flatMap((directory) => readdirSync(path.join(root, directory), { recursive: true, encoding: 'utf8' }).map((file) => `${directory}/${file.split(path.sep).join('/')}`))
    .filter((file) => /\.(ts|mts|mjs|js)$/.test(file))
    .sort()
    .map((file) => parse(file, readFileSync(path.join(root, file), 'utf8')));
}

/** Every node of a tree, parents first. */
export function* nodesOf(tree: ts.Node): Generator<ts.Node> {
  yield tree;
  const children: ts.Node[] = [];
  ts.forEachChild(tree, (child) => void children.push(child));
  for (const child of children) yield* nodesOf(child);
}

/** `path:line: what`, as editors and terminals make it clickable. */
export function at(source: Source, node: ts.Node, what: string): string {
  return `${source.path}:${source.tree.getLineAndCharacterOfPosition(node.getStart(source.tree)).line + 1}: ${what}`;
}
