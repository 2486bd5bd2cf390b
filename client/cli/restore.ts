/** `dtp restore`: a node that does not run gets the data of a recovery point. */
import type { Command } from 'commander';
import { clusterFileDefault } from './cluster-file.ts';
import { shellCode, spawnNode } from './node-process.ts';

interface RestoreOptions {
  readonly node: string;
  readonly from: string;
  readonly config: string;
  readonly dataDirectory?: string;
  readonly acceptLoss?: boolean;
  readonly json?: boolean;
}

const help = `
The node must not run. Every row of the recovery point is checked before anything is changed; the node's present data is
moved aside, not deleted. When it is started it takes no part in votes and answers no reads until it has got from the
other nodes all that was written since the point was taken, deletions too: an old point brings nothing back.

Examples:
  dtp restore --node n1 --from before-upgrade       one of those that the node keeps (dtp checkpoint --list)
  dtp restore --node n1 --from ../backup/n1/sunday    a copy of such a directory

Exit codes:
  0   restored
  64  wrong command line, or no such recovery point
  65  wrong configuration
  73  the node runs, or the recovery point is of another node or cluster
  74  the disk fails, or the recovery point is damaged`;

export function registerRestore(program: Command, finish: (code: number) => void): void {
  program
    .command('restore')
    .summary('start a node from a recovery point')
    .description('Put a recovery point in the place of a node’s data, on the machine of that node.')
    .requiredOption('--node <id>', 'the node; it must not run')
    .requiredOption('--from <point>', 'the recovery point: its name, or its directory')
    .option('--config <file>', 'the cluster’s configuration', clusterFileDefault)
    .option('--data-directory <directory>', 'where the nodes keep their data, in place of what the configuration says')
    .option('--accept-loss', 'where each key has one replica: what was written since may be lost')
    .option('--json', 'answer in JSON')
    .addHelpText('after', help)
    .action(async ({ node, from, config, dataDirectory, acceptLoss = false, json }: RestoreOptions) => {
      const { ended } = spawnNode({ id: node, config, dataDirectory, json, restore: { from, acceptLoss } });
      finish(shellCode(await ended));
    });
}
