/** Uses every door of an environment, closes what it opened, and should then end by itself. */
import { realEnvironment } from '../../../../client/wire/real-environment.ts';

const environment = realEnvironment();
environment.after(60_000, () => {}).cancel();
environment.defer(() => {});
environment.randomUint32();
const refused = environment.dial('ws://127.0.0.1:1');
const aborted = environment.dial(process.argv[2]!);
aborted.abort('not needed');
const connection = environment.dial(process.argv[2]!);
connection.onOpen = () => connection.close('done');
let closed = 0;
for (const each of [refused, aborted, connection]) {
  each.onClose = () => {
    if (++closed === 3) setImmediate(() => process.stdout.write(`closed, with ${process.getActiveResourcesInfo().filter((name) => name === 'Timeout').length} timers left\n`));
  };
}
