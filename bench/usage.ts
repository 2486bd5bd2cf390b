/** What processes have used of the machine, from Linux's /proc and /sys. Elsewhere everything is NaN. */
import { readdirSync, readFileSync, statSync } from 'node:fs';
import os from 'node:os';

/** Clock ticks of /proc/<pid>/stat: sysconf(_SC_CLK_TCK), which is 100 on every Linux that Node.js runs on. */
const ticksPerSecond = 100;
/** Of /sys, whatever the disk's own are. */
const sectorBytes = 512;

/** User and system time of a process and all that descend from it, all threads together, so far, in ms. */
export function processorMs(pid: number): number {
  return withDescendants(pid).reduce((sum, each) => sum + ownProcessorMs(each), 0);
}

/** Children that have ended are in the time of their parent. */
function ownProcessorMs(pid: number): number {
  const text = read(`/proc/${pid}/stat`);
  if (text === null) return Number.NaN;
  // The name in parentheses may hold blanks; utime, stime and those of the children that ended are the 12th to 15th field behind it.
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
  return (fields.slice(11, 15).reduce((sum, ticks) => sum + Number(ticks), 0) * 1_000) / ticksPerSecond;
}

function withDescendants(pid: number): number[] {
  const children = threads(pid).flatMap((thread) => (read(`/proc/${pid}/task/${thread}/children`) ?? '').split(' ').filter((text) => text !== '').map(Number));
  return [pid, ...children.flatMap(withDescendants)];
}

function threads(pid: number): string[] {
  try {
    return readdirSync(`/proc/${pid}/task`);
  } catch {
    return [];
  }
}

export interface DiskUse {
  readonly writtenBytes: number;
  readonly flushes: number;
}

/**
 * What the disk under the system's directory for temporary files was asked for, by whomever, since the machine was started.
 * Not what processes are said to have written: Linux counts whole folios there, a megabyte for a byte.
 */
export function diskUse(): DiskUse {
  const { dev } = statSync(os.tmpdir());
  const [major, minor] = [(dev >>> 8) & 0xfff, (dev & 0xff) | ((dev >>> 12) & 0xfff00)];
  const device = `/sys/dev/block/${major}:${minor}`;
  // Flushes are counted by whole disks only.
  const fields = (read(read(`${device}/partition`) === null ? `${device}/stat` : `${device}/../stat`) ?? '').trim().split(/\s+/).map(Number);
  return { writtenBytes: (fields[6] ?? Number.NaN) * sectorBytes, flushes: fields[15] ?? Number.NaN };
}

/** Figures mean little without it. */
export interface Machine {
  readonly system: string;
  readonly processors: number;
  readonly model: string;
  readonly memoryMiB: number;
  readonly node: string;
  /** How many processes wanted to run, in the mean of the last minute. */
  readonly loadBefore: number;
}

export function machine(): Machine {
  const cpus = os.cpus();
  return { system: `${os.type()} ${os.release()} ${os.arch()}`, processors: cpus.length, model: cpus[0]?.model ?? '', memoryMiB: Math.round(os.totalmem() / 2 ** 20), node: process.version, loadBefore: os.loadavg()[0] ?? 0 };
}

export function describeMachine({ processors, model, memoryMiB, node, loadBefore }: Machine): string {
  return `${processors} processors (${model}), ${(memoryMiB / 1_024).toFixed(0)} GiB, Node.js ${node}; load before: ${loadBefore.toFixed(1)}`;
}

function read(file: string): string | null {
  try {
    return readFileSync(file, 'latin1');
  } catch {
    return null;
  }
}
