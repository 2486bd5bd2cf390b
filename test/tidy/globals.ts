/**
 * No clock, timer, chance or process but through the doors: one global `Date.now()` and a failure no longer replays
 * from its seed.
 */
import ts from 'typescript';
import { isDoor } from './imports.ts';
import { at, nodesOf } from './sources.ts';
import type { Source } from './sources.ts';

const banned = new Set([
  'performance', 'setTimeout', 'setInterval', 'setImmediate', 'clearTimeout', 'clearInterval', 'clearImmediate', 'queueMicrotask',
  'process', 'crypto', 'fetch', 'WebSocket', 'EventSource', 'MessageChannel', 'BroadcastChannel', 'console', 'globalThis', 'global', 'eval', 'Function', 'WeakRef', 'FinalizationRegistry',
]);

/** Members of otherwise harmless globals. */
const bannedMembers: Record<string, ReadonlySet<string>> = {
  Math: new Set(['random']),
  AbortSignal: new Set(['timeout']),
  Atomics: new Set(['wait', 'waitAsync']),
};

export function globalFaults(source: Source): string[] {
  if (isDoor(source.path)) return [];
  const own = namesDeclaredIn(source);
  const faults: string[] = [];
  for (const node of nodesOf(source.tree)) {
    if (!ts.isIdentifier(node) || own.has(node.text) || !standsForValue(node)) continue;
    if (banned.has(node.text) || (node.text === 'Date' && !isCalendarOnly(node))) faults.push(at(source, node, `${node.text} is global; it must come through the runtime or environment`));
    const members = Object.hasOwn(bannedMembers, node.text) ? bannedMembers[node.text] : undefined;
    if (members === undefined) continue;
    const { parent } = node;
    const member = ts.isPropertyAccessExpression(parent) && parent.expression === node ? parent.name.text : undefined;
    // Anything but a plain `Math.floor`, as `Math['random']` or `const { random } = Math`, hides which member is meant.
    if (member === undefined || members.has(member)) faults.push(at(source, node, `${node.text}${member === undefined ? '' : `.${member}`} is global; it must come through the runtime or environment`));
  }
  return faults;
}

/** `value instanceof Date`, `Date.prototype` and `new Date(number)` read no clock: they are how a value that is a date is handled. */
function isCalendarOnly(node: ts.Identifier): boolean {
  const { parent } = node;
  if (ts.isPropertyAccessExpression(parent)) return parent.name.text === 'prototype';
  if (ts.isBinaryExpression(parent)) return parent.operatorToken.kind === ts.SyntaxKind.InstanceOfKeyword && parent.right === node;
  return ts.isNewExpression(parent) && parent.expression === node && (parent.arguments?.length ?? 0) > 0;
}

/** False for the names of members, of types, and in declarations. */
function standsForValue(node: ts.Identifier): boolean {
  const { parent } = node;
  if (ts.isPropertyAccessExpression(parent)) return parent.expression === node;
  if (ts.isPropertyAssignment(parent) || ts.isBindingElement(parent) || ts.isParameter(parent) || ts.isVariableDeclaration(parent)) return parent.initializer === node;
  if (ts.isShorthandPropertyAssignment(parent)) return true;
  if (ts.isTypeNode(parent) || ts.isQualifiedName(parent) || ts.isTypeElement(parent) || ts.isTypeQueryNode(parent)) return false;
  if (ts.isClassElement(parent) || ts.isImportSpecifier(parent) || ts.isLabeledStatement(parent) || ts.isJSDocNameReference(parent)) return 'initializer' in parent && parent.initializer === node;
  return true;
}

/** Names that the file itself gives a meaning: imports, variables, parameters, functions, classes. */
function namesDeclaredIn(source: Source): ReadonlySet<string> {
  const names = new Set<string>();
  for (const node of nodesOf(source.tree)) {
    const named =
      ts.isVariableDeclaration(node) || ts.isParameter(node) || ts.isBindingElement(node) || ts.isFunctionDeclaration(node) || ts.isFunctionExpression(node) ||
      ts.isClassDeclaration(node) || ts.isImportClause(node) || ts.isImportSpecifier(node) || ts.isNamespaceImport(node);
    if (named && node.name !== undefined && ts.isIdentifier(node.name) && !isParameterOfType(node)) names.add(node.name.text);
  }
  return names;
}

/** A parameter's name in a mere signature shadows nothing. */
function isParameterOfType(node: ts.Node): boolean {
  return ts.isParameter(node) && !('body' in node.parent && node.parent.body !== undefined);
}
