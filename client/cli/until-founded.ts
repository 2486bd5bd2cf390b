/** When a cluster that has been started takes transactions. */
import { connect, type NodeStatus } from '../index.ts';

const pollMs = 100;
const answerTimeoutMs = 1_000;

/**
 * Waits until each node is founded and connected with all others: until then a new cluster has nobody who may vote. Gives up, and
 * returns false, as soon as `goesOn` says so. `asked` is told what the nodes answer.
 */
export async function untilFounded(urls: readonly string[], cluster: string | undefined, goesOn: () => boolean, asked: (nodes: readonly NodeStatus[]) => void): Promise<boolean> {
  while (goesOn()) {
    try {
      const db = await connect({ nodes: [...urls], cluster, connectTimeoutMs: answerTimeoutMs, timeoutMs: answerTimeoutMs });
      try {
        while (goesOn()) {
          const nodes = await db.status({ timeoutMs: answerTimeoutMs });
          asked(nodes);
          if (nodes.every(isFounded)) return true;
          await pause();
        }
      } finally {
        await db.close();
      }
    } catch {
      // Nobody answers yet, or not any more: whoever waits is told by the nodes themselves why.
      await pause();
    }
  }
  return false;
}

function isFounded(node: NodeStatus): boolean {
  return node.reachable && node['founded'] === true && (node['peers'] as { up: boolean }[]).every(({ up }) => up);
}

function pause(): Promise<void> {
  return new Promise((resume) => setTimeout(resume, pollMs));
}
