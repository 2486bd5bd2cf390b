/** Writes a log until the system takes no more (ulimit -f), and once again after that. */
import { RealDisk } from '../../../../node/runtime/real-disk.ts';

// Without a handler the signal that comes with the error would end the process.
process.on('SIGXFSZ', () => {});

const file = new RealDisk(process.argv[2]!).openLog('log', 8_192);
let errors = 0;

function write(number: number): void {
  file.write(number * 3_001, [Buffer.alloc(1_000, 1), Buffer.alloc(2_001, 1)], (error) => {
    process.stdout.write(error === undefined ? `${number}\n` : `error ${error.message}\n`);
    if (error !== undefined && ++errors === 2) file.close();
    else write(error === undefined ? number + 1 : 0);
  });
}

write(0);
