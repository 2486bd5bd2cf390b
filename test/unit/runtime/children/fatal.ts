/** Meets an invariant broken. */
import { makeLog } from '../../../../node/runtime/log.ts';
import { realRuntime } from '../../../../node/runtime/real.ts';

const log = makeLog({ level: 'info', node: 'n1', readable: process.argv[3] === 'readable' });
const runtime = realRuntime({ directory: process.argv[2]!, log });
for (let i = 0; i < 1_000; i++) runtime.log.info({ i }, 'line before');
runtime.fatal('the journal cannot be trusted', { segment: 7 });
