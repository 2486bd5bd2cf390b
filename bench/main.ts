/** `npm run bench`: each measurement is a file beside this one. */
import { Command } from 'commander';
import { registerFigures } from './figures/command.ts';
import { registerCompare } from './figures/compare.ts';
import { registerFloor } from './floor/command.ts';
import { registerHealing } from './healing/command.ts';
import { registerMicro } from './micro/command.ts';
import { runProgram } from './options.ts';
import { registerProtocols } from './protocols.ts';
import { registerTimeline } from './timeline/command.ts';

const program = new Command('npm run bench --').description('Measures a cluster on this machine.').addHelpText('after', `
Without a command: figures. Each has options of its own:
  npm run bench -- figures --help
  npm run bench -- --workload put --callers 1,64 --seconds 10
  npm run bench -- --target dtp,etcd,zookeeper --callers 64
  npm run bench -- compare old.json new.json
  npm run bench -- healing --keys 100000
  npm run bench -- timeline --target dtp,etcd
  npm run bench -- micro
  npm run bench -- floor
  npm run bench -- protocols --out bench-results`);
registerFigures(program);
registerCompare(program);
registerHealing(program);
registerTimeline(program);
registerMicro(program);
registerFloor(program);
registerProtocols(program);
await runProgram(program);
