/** Writes numbers one after another into a log, each with a flush of its own, and prints each that is done. */
import { RealDisk } from '../../../../node/runtime/real-disk.ts';

const file = new RealDisk(process.argv[2]!).openLog('log', 1_024 * 1_024);

function write(number: number): void {
  const bytes = Buffer.alloc(8);
  bytes.writeDoubleLE(number);
  file.write(number * 8, [bytes.subarray(0, 3), bytes.subarray(3)], (error) => {
    if (error !== undefined) throw error;
    process.stdout.write(`${number}\n`);
    write(number + 1);
  });
}

write(0);
