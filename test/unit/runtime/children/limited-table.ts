/** Writes batches into a table until the system takes no more (ulimit -f), tries the last one again, and looks at what is there. */
import { RealDisk } from '../../../../node/runtime/real-disk.ts';

// Without a handler the signal that comes with the error would end the process.
process.on('SIGXFSZ', () => {});

const table = new RealDisk(process.argv[2]!).openTable();

let failures = 0;

function write(number: number): void {
  const name = (i: number): Buffer => Buffer.from(`${number} ${i}`);
  table.write(Array.from({ length: 10 }, (_, i) => [name(i), Buffer.alloc(1_000, 1)] as const), (error) => {
    const present = Array.from({ length: 10 }, (_, i) => table.get(name(i))).filter((value) => value?.length === 1_000).length;
    process.stdout.write(`${present} of batch ${number}: ${error === undefined ? 'done' : error.message}\n`);
    if (error === undefined) write(number + 1);
    else if (++failures < 3) write(number);
    else table.close(() => process.stdout.write('closed\n'));
  });
}

write(0);
