/** Takes a directory's lock, says whether it could, and stays until it is killed. */
import { lockDirectory } from '../../../../node/runtime/directory-lock.ts';

const [directory, platform] = process.argv.slice(2);
try {
  await lockDirectory(directory!, platform as NodeJS.Platform);
  process.stdout.write('locked\n');
} catch (error) {
  process.stdout.write(`${error instanceof Error ? error.name : String(error)}\n`);
}
setInterval(() => {}, 60_000);
