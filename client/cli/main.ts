#!/usr/bin/env node
/** The `dtp` command. Each subcommand is a file beside this one; all of them use what any program can import. */
import { readFileSync } from 'node:fs';
import { Command, CommanderError } from 'commander';
import { DtpError } from '../index.ts';
import { registerCheckpoint } from './checkpoint.ts';
import { registerDelete } from './delete.ts';
import { endingOf, exitCodes, InputError } from './exit-codes.ts';
import type { Ending } from './exit-codes.ts';
import { registerExplain } from './explain.ts';
import { registerGet } from './get.ts';
import { registerNode } from './node.ts';
import { registerResolve } from './resolve.ts';
import { registerRestore } from './restore.ts';
import { registerSet } from './set.ts';
import { registerStatus } from './status.ts';
import { processTerminal } from './terminal.ts';
import { TypedJsonError } from './typed-json.ts';
import { registerUp } from './up.ts';
import { registerVerify } from './verify.ts';

const terminal = processTerminal();
const asJson = process.argv.includes('--json');

/** Not `process.exit`: what was written has still to leave, and nothing else is under way. */
const finish = (code: number): void => {
  process.exitCode = code;
};

function version(): string {
  const { version } = JSON.parse(readFileSync(new URL('../../../package.json', import.meta.url), 'utf8')) as { version: string };
  return version;
}

// A reader that has read enough, as `head` has, closes its end: that is no fault of ours.
for (const stream of [process.stdout, process.stderr]) stream.on('error', () => {});

interface Failure {
  readonly ending: Ending;
  readonly code: string;
  readonly message: string;
  readonly advice?: string;
}

function failureOf(error: unknown): Failure {
  if (error instanceof DtpError) return { ending: endingOf(error.code), code: error.code, message: error.message, advice: error.advice };
  if (error instanceof InputError) return { ending: error.ending, code: error.ending, message: error.message };
  if (error instanceof TypedJsonError) return { ending: 'input', code: 'input', message: error.message };
  return { ending: 'internal', code: 'internal', message: error instanceof Error ? error.stack ?? error.message : String(error) };
}

function tell({ code, message, advice }: Failure): void {
  if (asJson) return terminal.note(JSON.stringify({ error: { code, message, ...(advice !== undefined && { advice }) } }));
  terminal.note(`dtp: ${message}`);
  if (advice !== undefined) terminal.note(advice);
}

const program = new Command('dtp')
  .description('A transactional key-value store: run a cluster, read and write it, see how it is.')
  .version(version(), '--version')
  .helpOption('-h, --help', 'show help')
  .helpCommand('help [command]', 'show help for a command')
  .showHelpAfterError(asJson ? false : '(dtp --help shows what there is)')
  .configureOutput({ outputError: (text, write) => (asJson ? tell({ ending: 'usage', code: 'usage', message: text.trim().replace(/^error: /, '') }) : write(text)) })
  .exitOverride();
registerUp(program, terminal, finish);
registerNode(program, terminal, finish);
registerGet(program, terminal, finish);
registerSet(program, terminal, finish);
registerDelete(program, terminal, finish);
registerResolve(program, terminal, finish);
registerStatus(program, terminal, finish);
registerVerify(program, terminal, finish);
registerCheckpoint(program, terminal, finish);
registerRestore(program, finish);
registerExplain(program, terminal, finish);

try {
  await program.parseAsync();
} catch (error) {
  if (error instanceof CommanderError) {
    // It has said what is wrong, or shown the help that was asked for.
    finish(error.exitCode === 0 ? exitCodes.done : exitCodes.usage);
  } else {
    const failure = failureOf(error);
    tell(failure);
    finish(exitCodes[failure.ending]);
  }
}
