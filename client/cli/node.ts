/** `dtp node`: one node of the configuration, in the foreground. */
import path from 'node:path';
import type { Command } from 'commander';
import { clusterFileDefault, readClusterFile } from './cluster-file.ts';
import { processExitCodesHelp } from './exit-codes.ts';
import { adviceAfter, shellCode, spawnNode } from './node-process.ts';
import type { Terminal } from './terminal.ts';

interface NodeCommandOptions {
  readonly id: string;
  readonly config: string;
  readonly dataDirectory?: string;
  readonly json?: boolean;
}

export function registerNode(program: Command, terminal: Terminal, finish: (code: number) => void): void {
  program
    .command('node')
    .summary('run one node of the configuration')
    .description('Run one node of the configuration in the foreground, with its log on standard output, until Ctrl-C. A second Ctrl-C ends it at once.')
    .requiredOption('--id <id>', 'which node of the configuration this is')
    .option('--config <file>', 'the cluster’s configuration', clusterFileDefault)
    .option('--data-directory <directory>', 'where the nodes keep their data, in place of what the configuration says')
    .option('--json', 'log as JSON also on a terminal')
    .addHelpText('after', processExitCodesHelp)
    .action(async ({ id, config, dataDirectory, json }: NodeCommandOptions) => {
      const node = spawnNode({ id, config, dataDirectory, json });
      for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => node.child.kill(signal));
      const ended = await node.ended;
      const advice = ended.signal === null ? null : adviceAfter(ended, path.join(dataDirectory ?? readClusterFile(config).dataDirectory, id));
      if (advice !== null) terminal.note(advice);
      finish(shellCode(ended));
    });
}
