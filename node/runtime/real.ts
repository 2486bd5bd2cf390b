/** The real runtime of a node: the system's clock and timers, WebSockets, a data directory, and a log. */
import { realEnvironment } from '../../client/wire/real-environment.ts';
import { listen } from './listener.ts';
import type { NodeLog } from './log.ts';
import { RealDisk } from './real-disk.ts';
import type { Runtime } from './runtime.ts';

/** The exit code of a node that stopped itself because it could not trust itself any more: EX_SOFTWARE of sysexits.h. */
export const fatalExitCode = 70;

/** The disk fails, or what is on it is damaged: EX_IOERR. */
export const diskExitCode = 74;

export interface RealRuntimeOptions {
  /** The node's data directory, made if need be. Whoever calls holds its lock. */
  directory: string;
  log: NodeLog;
}

/** Throws what the file system throws if the directory can't be had. */
export function realRuntime({ directory, log }: RealRuntimeOptions): Runtime {
  return {
    ...realEnvironment(),
    disk: new RealDisk(directory),
    log,
    listen: (url, onConnection, done) => listen(url, log, onConnection, done),
    fatal(reason, details = {}) {
      const isDamage = String(details['code']).startsWith('corrupt-');
      log.fatal({ ...details, ...(isDamage && { directory }) }, reason);
      process.exit(isDamage ? diskExitCode : fatalExitCode);
    },
  };
}
