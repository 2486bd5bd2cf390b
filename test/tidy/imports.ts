/**
 * Imports point down only, and the world is entered through few doors.
 *
 * The tree has rooms; a table says into which others each may look. What is not in the table is forbidden, so a new
 * room needs a line here, and the line is the place to argue about it.
 */
import { builtinModules } from 'node:module';
import path from 'node:path';
import ts from 'typescript';
import { at, nodesOf } from './sources.ts';
import type { Source } from './sources.ts';

const rooms = [
  ['client/wire', /^client\/wire\//],
  ['client/cli', /^client\/cli\//],
  ['client/index', /^client\/index\.ts$/],
  ['client', /^client\//],
  ['main', /^node\/main\.ts$/],
  ['config', /^node\/config\.ts$/],
  ['invariant', /^node\/invariant\.ts$/],
  ['txn', /^node\/txn\//],
  ['heal', /^node\/heal\//],
  ['cluster', /^node\/cluster\//],
  ['http', /^node\/http\//],
  ['store', /^node\/store\//],
  ['runtime', /^node\/runtime\//],
  ['node', /^node\/[^/]+\.ts$/],
  ['bench', /^bench\//],
  ['testing', /^test\/sim\/testing\.ts$/],
  ['test', /^test\//],
  ['scripts', /^\.ci\//],
] as const satisfies readonly (readonly [string, RegExp])[];

type Room = (typeof rooms)[number][0];

const ground = ['invariant', 'client/wire'] as const;
const logic = ['cluster', 'store', 'runtime', 'config', ...ground] as const;

const mayImport: Record<Room, readonly Room[] | 'all'> = {
  'client/wire': [],
  'client': ['client/wire'],
  'client/index': ['client', 'client/wire'],
  // What any program can do with the package is enough for the command line too.
  'client/cli': ['client/index'],
  'main': ['node', 'txn', 'heal', 'http', ...logic],
  'node': ['txn', 'heal', 'http', ...logic],
  'txn': logic,
  'heal': logic,
  'http': logic,
  'cluster': ['store', 'runtime', 'config', ...ground],
  'config': ['store', ...ground],
  'store': ['runtime', ...ground],
  'runtime': ground,
  'invariant': ['client/wire'],
  // What has to happen at an exact moment is measured in a simulated cluster, by way of what any program can import.
  'bench': ['client/index', 'client', 'client/wire', 'testing'],
  'testing': 'all',
  'test': 'all',
  'scripts': [],
};

export function roomOf(file: string): Room | undefined {
  return rooms.find(([, pattern]) => pattern.test(file))?.[0];
}

/** Each module named by an import, an export from, a dynamic import or a require. */
export function* importsOf(source: Source): Generator<{ node: ts.Node; specifier: string }> {
  for (const node of nodesOf(source.tree)) {
    let module: ts.Node | undefined;
    if (ts.isImportDeclaration(node) || ts.isExportDeclaration(node)) module = node.moduleSpecifier;
    else if (ts.isImportTypeNode(node) && ts.isLiteralTypeNode(node.argument)) module = node.argument.literal;
    else if (ts.isCallExpression(node) && (node.expression.kind === ts.SyntaxKind.ImportKeyword || (ts.isIdentifier(node.expression) && node.expression.text === 'require'))) module = node.arguments[0];
    if (module === undefined) continue;
    yield { node, specifier: ts.isStringLiteralLike(module) ? module.text : '' };
  }
}

/** Imports between the project's own files that go up, or into a room that is not theirs to see. */
export function directionFaults(source: Source): string[] {
  const room = roomOf(source.path);
  if (room === undefined) return [`${source.path}: lies in no room; add it to the table of rooms`];
  const allowed = mayImport[room];
  const faults: string[] = [];
  for (const { node, specifier } of importsOf(source)) {
    if (!specifier.startsWith('.') || allowed === 'all') continue;
    const target = path.posix.normalize(path.posix.join(path.posix.dirname(source.path), specifier));
    const targetRoom = roomOf(target);
    if (targetRoom !== undefined && (targetRoom === room || allowed.includes(targetRoom))) continue;
    faults.push(at(source, node, `${room} must not import ${target}`));
  }
  return faults;
}

/** Node's modules that compute and do nothing else. */
const harmlessModules = new Set(['node:assert', 'node:assert/strict', 'node:buffer', 'node:util', 'node:zlib']);
const worldlyPackages = new Set(['ws', 'lmdb', 'pino', 'pino-pretty', 'bufferutil']);
const builtin = new Set(builtinModules);

/** Files through which the world is entered: everything else gets time, chance, sockets and disks handed in. */
export function isDoor(file: string): boolean {
  return /^(node\/runtime\/|node\/main\.ts$|client\/wire\/(real-environment|websocket-connection)\.ts$|client\/cli\/|bench\/|test\/|\.ci\/)/.test(file);
}

/** Imports of disks, sockets, processes and the like by files that are no door. */
export function worldFaults(source: Source): string[] {
  if (isDoor(source.path)) return [];
  const faults: string[] = [];
  for (const { node, specifier } of importsOf(source)) {
    const isBuiltin = specifier.startsWith('node:') || builtin.has(specifier);
    if (isBuiltin ? !harmlessModules.has(specifier) : specifier === '' || worldlyPackages.has(specifier.split('/')[0] ?? '')) {
      faults.push(at(source, node, `${specifier === '' ? 'a computed module' : specifier} may not be imported here; the doors to the world are in node/runtime and client/wire/real-environment.ts`));
    }
  }
  return faults;
}
