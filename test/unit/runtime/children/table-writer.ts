/** Writes batch after batch over the same keys, several under way, and prints each number that is done. */
import { RealDisk } from '../../../../node/runtime/real-disk.ts';

const table = new RealDisk(process.argv[2]!).openTable();
const padding = Buffer.alloc(300, 1);
let next = 1;

function write(): void {
  const number = next++;
  const value = Buffer.concat([Buffer.from(String(number).padStart(10, '0')), padding]);
  table.write(Array.from({ length: 200 }, (_, key) => [Buffer.from(`key ${key}`), value] as const), (error) => {
    if (error !== undefined) throw error;
    process.stdout.write(`${number}\n`);
    write();
  });
}

for (let i = 0; i < 3; i++) write();
