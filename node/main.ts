/**
 * The process of one node: reads the command line and the configuration, takes the data directory, gives the node the
 * real world and waits for the end.
 *
 *   node main.js --config cluster.config.json --id n1 [--data-directory <directory>] [--json]
 *   node main.js --config cluster.config.json --id n1 --restore <recovery point> [--accept-loss] [--json]
 *   node main.js --config cluster.config.json --check
 *
 * What keeps it from starting is one line on standard error that says what, where, and what to do; nothing was touched
 * then. A parent that opened an IPC channel gets `{ event: 'ready', id, url }` when the node serves, and the node stops
 * when that channel closes: nobody is left to stop it otherwise.
 */
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { parseConfig } from './config.ts';
import type { ClusterConfig } from './config.ts';
import { Node } from './node.ts';
import { isAlone, restore, type Restored } from './restore.ts';
import { lockDirectory } from './runtime/directory-lock.ts';
import { whileReading } from './runtime/lmdb-table.ts';
import { makeLog } from './runtime/log.ts';
import { probeAddress } from './runtime/probe-address.ts';
import { diskExitCode, fatalExitCode, realRuntime } from './runtime/real.ts';
import { TableDamaged } from './runtime/runtime.ts';
import { findPoint, isInterrupted, Staging } from './runtime/staging.ts';
import { damagedTable } from './store/store-error.ts';

/** After the numbers of sysexits.h, which service managers know. */
const exitCodes = {
  stopped: 0,
  usage: 64,
  configuration: 65,
  address: 69,
  /** An invariant is broken or the disk can't be trusted: the node stopped itself rather than vote wrongly. */
  fatal: fatalExitCode,
  /** The data directory is in use, is another node's, or can't be made. */
  directory: 73,
  /** The disk fails, or what is on it is damaged. */
  disk: diskExitCode,
} as const;
type Ending = keyof typeof exitCodes;

/**
 * What may be wrong at the start, by the `code` or the name of the error: how the process ends, and in place of the
 * system's words what it means and what to do. Without words of its own here, an error says all that itself.
 */
const startFaults: Record<string, readonly [ending: Ending, words?: string]> = {
  'EADDRINUSE': ['address', 'another process listens there already. Is this node running? Stop it, or change the address in the configuration.'],
  'EADDRNOTAVAIL': ['address', 'this machine has no such address. Start the node where it belongs, or change the address in the configuration.'],
  'ENOTFOUND': ['address', 'the host name is unknown here. Change the address in the configuration.'],
  'EAI_AGAIN': ['address', 'the host name can’t be looked up. Use an IP address in the configuration, or try again.'],
  'EACCES listen': ['address', 'the system does not allow it; ports below 1024 need a privilege. Change the address in the configuration.'],
  'DirectoryLocked': ['directory', 'this data directory is in use by another process. Stop that one, or give this node another directory.'],
  'other-cluster': ['directory'],
  'other-node': ['directory'],
  'other-partitions': ['directory'],
  'other-placement': ['directory'],
  'other-format': ['directory'],
  'EACCES': ['directory', 'no right to write there. Give it to this user, or choose another dataDirectory.'],
  'EPERM': ['directory', 'no right to write there. Give it to this user, or choose another dataDirectory.'],
  'EROFS': ['directory', 'a file system that can’t be written to. Choose another dataDirectory.'],
  'ENOTDIR': ['directory', 'something on this path is no directory. Move it away, or choose another dataDirectory.'],
  'EEXIST': ['directory', 'something on this path is no directory. Move it away, or choose another dataDirectory.'],
  'ENOSPC': ['disk', 'the disk is full. Make room on it.'],
  'EIO': ['disk', 'the disk fails. Let a new node, with a new id and another disk, take this one’s place.'],
  'corrupt-journal': ['disk'],
  'corrupt-table': ['disk'],
  'corrupt-value': ['disk'],
  'corrupt-point': ['disk'],
  'write-failed': ['disk'],
};

const usage = `usage: node main.js --config <file> --id <node id> [--data-directory <directory>] [--json]
       node main.js --config <file> --id <node id> --restore <recovery point> [--accept-loss] [--json]
       node main.js --config <file> --check

  --config          the cluster's configuration, cluster.config.json
  --id              which of its nodes this process is
  --data-directory  in place of the configuration's dataDirectory; the node's files are in <directory>/<id>
  --json            log as JSON also on a terminal
  --restore         put a recovery point, by its name or its directory, in the place of the node's data, and no more
  --accept-loss     do so where no other node has what was written since
  --check           say what is wrong in the configuration, and no more

exit codes: ${Object.entries(exitCodes).map(([ending, code]) => `${code} ${ending}`).join(', ')}
`;

function end(ending: Ending, line: string): never {
  process.stderr.write(`${line}\n`);
  process.exit(exitCodes[ending]);
}

interface Arguments {
  readonly config: string;
  readonly id: string | undefined;
  readonly dataDirectory: string | undefined;
  readonly json: boolean;
  readonly restore: string | undefined;
  readonly acceptLoss: boolean;
}

function readArguments(): Arguments {
  const text = { type: 'string' } as const;
  const flag = { type: 'boolean', default: false } as const;
  try {
    const { values } = parseArgs({ options: { 'config': text, 'id': text, 'data-directory': text, 'json': flag, 'restore': text, 'accept-loss': flag, 'check': flag, 'help': flag } });
    if (values.help) {
      process.stdout.write(usage);
      process.exit(exitCodes.stopped);
    }
    if (values.config === undefined) throw new TypeError('--config is missing');
    if ((values.id === undefined) !== values.check) throw new TypeError('name the node by --id, or ask for --check');
    return { config: values.config, id: values.id, dataDirectory: values['data-directory'], json: values.json, restore: values.restore, acceptLoss: values['accept-loss'] };
  } catch (error) {
    return end('usage', `${(error as Error).message}\n\n${usage.trimEnd()}`);
  }
}

function readConfig(file: string): ClusterConfig {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    return end('configuration', `${file}: can't be read: ${(error as Error).message}`);
  }
  const result = parseConfig(text);
  if ('config' in result) return result.config;
  return end('configuration', result.faults.map(({ path, message }) => (path === '' ? `${file}: ${message}` : `${file}: ${path}: ${message}`)).join('\n'));
}

/** Why the node does not start, in words, and how the process ends then. */
function startFault(error: unknown, url: string, directory: string): readonly [Ending, string] {
  for (let cause = error; cause instanceof Error; cause = cause.cause) {
    if (cause instanceof TableDamaged) return ['disk', `${directory}: ${damagedTable(cause.message)}`];
    const { code = cause.name, syscall = '' } = cause as NodeJS.ErrnoException;
    const [ending, words = cause.message] = startFaults[`${code} ${syscall}`] ?? startFaults[code] ?? [];
    if (ending !== undefined) return [ending, `${ending === 'address' ? url : directory}: ${words}`];
  }
  return ['fatal', error instanceof Error ? error.stack ?? error.message : String(error)];
}

function orElse<T>(attempt: () => T, fail: (error: unknown) => never): T {
  try {
    return attempt();
  } catch (error) {
    return fail(error);
  }
}

async function main(): Promise<void> {
  const { config: file, id, dataDirectory, json, restore: from, acceptLoss } = readArguments();
  const config = readConfig(file);
  if (id === undefined) return;
  const member = config.view.members.find((each) => each.id === id);
  if (member === undefined) return end('usage', `${file} has no node "${id}"; it has ${config.view.members.map((each) => each.id).join(', ')}`);
  const directory = path.join(dataDirectory ?? path.resolve(path.dirname(file), config.dataDirectory), id);

  if (from !== undefined) return restoreFrom(findPoint(directory, from), { directory, config, id, acceptLoss, json });

  let state: 'starting' | 'serving' | 'stopping' = 'starting';
  const failToStart = (error: unknown): never => {
    const [ending, words] = startFault(error, member.url, directory);
    return end(ending, `node ${id} did not start: ${words}`);
  };

  await probeAddress(member.url).catch(failToStart);
  const lock = await lockDirectory(directory).catch(failToStart);
  if (isInterrupted(directory)) end('directory', `node ${id} did not start: ${directory}: a restore was interrupted before it had put the recovery point in place. Run dtp restore again.`);
  const log = makeLog({ level: config.log.level, node: id, ...(json && { readable: false }) });
  log.info({ pid: process.pid, directory, nodeVersion: process.versions.node }, 'starting');
  const runtime = orElse(() => realRuntime({ directory, log }), failToStart);
  process.on('uncaughtException', (uncaught) => {
    const error = whileReading(uncaught) as Error;
    if (state === 'starting') failToStart(error);
    if (error instanceof TableDamaged) runtime.fatal(damagedTable(error.message), { code: 'corrupt-table' });
    runtime.fatal('uncaught exception', { error: error.message, stack: error.stack });
  });

  let node: Node;
  const begin = (): void => {
    state = 'starting';
    node = orElse(() => new Node(runtime, config, id), failToStart);
    node.onLost = begin;
    orElse(() => node.start((error?: Error) => {
      if (error !== undefined) return failToStart(error);
      state = 'serving';
      process.send?.({ event: 'ready', id, url: member.url });
    }), failToStart);
  };
  begin();

  const stop = (reason: string): void => {
    // Twice means at once; and a node that is not serving yet has promised nothing that a restart would not find.
    if (state !== 'serving') process.exit(exitCodes.stopped);
    state = 'stopping';
    log.info({ reason }, 'asked to stop');
    node.stop(() => void lock.release().then(() => process.exit(exitCodes.stopped)));
  };
  // A bound on the size of files is one more way in which a disk can be full, and no end.
  process.on('SIGXFSZ', () => {});
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => stop(signal));
  process.on('disconnect', () => {
    if (state !== 'stopping') stop('the parent process is gone');
  });
}

interface RestoreArguments {
  readonly directory: string;
  readonly config: ClusterConfig;
  readonly id: string;
  readonly acceptLoss: boolean;
  readonly json: boolean;
}

async function restoreFrom(point: string, { directory, config, id, acceptLoss, json }: RestoreArguments): Promise<void> {
  const refuse = (error: unknown): never => {
    const [ending, words] = (error as NodeJS.ErrnoException).code === 'ENOENT' ? ['usage' as const, `${point}: there is no recovery point. dtp checkpoint --list shows those of nodes that run.`] : startFault(error, '', directory);
    return end(ending, `node ${id} was not restored: ${words}`);
  };
  if (isAlone(config) && !acceptLoss) {
    end('usage', `node ${id} was not restored: each key has one replica, so no other node has what was written since the recovery point was taken. All of it would be lost; say --accept-loss if it may be.`);
  }
  const lock = await lockDirectory(directory).catch(refuse);
  const staging = orElse(() => new Staging(directory, point), refuse);
  const stamp = new Date().toISOString().replaceAll(/[:.]/g, '-');
  const { point: { takenAt }, keys, movedTo } = await new Promise<Restored>((resolve, reject) => {
    restore(staging, config, id, stamp, (error, restored) => (restored === undefined ? reject(error) : resolve(restored)));
  }).catch((error: unknown) => {
    if (!isInterrupted(directory)) staging.discard();
    return refuse(error);
  });
  await lock.release();
  const lines = [
    `node ${id} has the data of the recovery point of ${takenAt}: ${keys} keys (deleted ones included), ${staging.bytes} bytes, every row and digest checked`,
    ...(movedTo === null ? [] : [`its data of before is in ${movedTo}; remove that when you don't need it any more`]),
    isAlone(config) ? 'start it: what was written after that moment is lost' : 'start it: it takes no part in votes and answers no reads until it has got from the others what was written since; dtp status shows how far it is',
  ];
  process.stdout.write(json ? `${JSON.stringify({ node: id, takenAt, keys, bytes: staging.bytes, movedTo })}\n` : `${lines.join('\n')}\n`);
}

await main();
