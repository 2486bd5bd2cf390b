/** What a reader may expect of every file, and of every test. */
import ts from 'typescript';
import { at, nodesOf } from './sources.ts';
import type { Source } from './sources.ts';

const linesMax = 400;

export function lengthFaults(source: Source): string[] {
  const lines = source.text.split('\n').length - 1;
  return lines > linesMax ? [`${source.path}: ${lines} lines; at most ${linesMax}, one idea a file`] : [];
}

/** Written in pieces, so that this file does not find itself. */
const unfinished = new RegExp(`\\b(${['TO' + 'DO', 'FIX' + 'ME', 'X' + 'XX', 'HA' + 'CK'].join('|')})\\b`);
const silenced = new RegExp(`@ts-${'ignore'}|@ts-${'nocheck'}|eslint-${'disable'}`);
/** A place in one machine's file system: nothing of it exists elsewhere. */
const absolutePath = new RegExp(`(^|[\\s'"\`(=])(/(${['home', 'work', 'tmp', 'root', 'Users', 'usr', 'opt', 'mnt', 'srv'].join('|')})/|[A-Z]:\\\\{1,2}\\w)`);

const textRules: readonly (readonly [RegExp, string])[] = [
  [unfinished, 'work left undone'],
  [silenced, 'a check that is switched off'],
  [absolutePath, 'an absolute path'],
];

export function textFaults(source: Source): string[] {
  return source.text.split('\n').flatMap((line, index) => textRules.filter(([pattern]) => pattern.test(line)).map(([, what]) => `${source.path}:${index + 1}: ${what}: ${line.trim().slice(0, 80)}`));
}

/** `any` switches the type checker off for all that it touches. */
export function anyFaults(source: Source): string[] {
  return [...nodesOf(source.tree)].filter((node) => node.kind === ts.SyntaxKind.AnyKeyword).map((node) => at(source, node, 'any; use unknown, or say what it is'));
}

const testFunctions = new Set(['it', 'test', 'describe', 'suite', 'bench']);
const evasions = new Set(['skip', 'only', 'todo', 'skipIf', 'runIf', 'fails']);

/** Tests that don't run, keep others from running, or may fail and count as passed. */
export function testFaults(source: Source): string[] {
  if (!source.path.endsWith('.test.ts')) return [];
  const faults: string[] = [];
  for (const node of nodesOf(source.tree)) {
    if (ts.isPropertyAccessExpression(node) && evasions.has(node.name.text) && testFunctions.has(leftmostName(node))) faults.push(at(source, node, `${node.getText(source.tree)}: every test runs`));
    if (ts.isPropertyAssignment(node) && ts.isIdentifier(node.name) && ['retry', 'repeats'].includes(node.name.text) && isOptionOfTest(node)) faults.push(at(source, node, 'retry: a test that fails now and then has found something'));
  }
  return faults;
}

function leftmostName(node: ts.Expression): string {
  if (ts.isIdentifier(node)) return node.text;
  if (ts.isPropertyAccessExpression(node) || ts.isCallExpression(node)) return leftmostName(node.expression);
  return '';
}

function isOptionOfTest(node: ts.PropertyAssignment): boolean {
  const call = node.parent.parent;
  return ts.isCallExpression(call) && testFunctions.has(leftmostName(call.expression));
}

/** Dependencies without a line and a reason in the README's table. */
export function dependencyFaults(readme: string, packageJson: { dependencies?: Record<string, string>; devDependencies?: Record<string, string> }): string[] {
  const rows = readme.split('\n').filter((line) => line.trimStart().startsWith('|')).map((line) => line.split('|').slice(1, -1).map((cell) => cell.trim()));
  // One row may speak for several, as "ws, bufferutil", each as it is, in backquotes or as a link.
  const reasons = new Map(rows.flatMap(([names = '', ...reason]) => names.replace(/\[([^\]]*)\]\([^)]*\)/g, '$1').replaceAll('`', '').split(/,\s*/).map((name) => [name, reason.join('')] as const)));
  const all = [...Object.keys(packageJson.dependencies ?? {}), ...Object.keys(packageJson.devDependencies ?? {})];
  return all.filter((name) => (reasons.get(name) ?? '') === '').map((name) => `README.md: no line of reason for the dependency ${name} in a table`);
}
