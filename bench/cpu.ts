/** Processor time of other processes, from Linux's /proc. */
import { readFileSync } from 'node:fs';

/** Clock ticks of /proc/<pid>/stat: sysconf(_SC_CLK_TCK), which is 100 on every Linux that Node.js runs on. */
const ticksPerSecond = 100;

/** User and system time that the process has taken so far, all its threads together, in ms. NaN where there is no /proc. */
export function processorMs(pid: number): number {
  let text: string;
  try {
    text = readFileSync(`/proc/${pid}/stat`, 'latin1');
  } catch {
    return Number.NaN;
  }
  // The name in parentheses may hold blanks; utime and stime are the 12th and 13th field behind it.
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
  return ((Number(fields[11]) + Number(fields[12])) * 1_000) / ticksPerSecond;
}
