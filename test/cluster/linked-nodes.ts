/** Three nodes, each of which reaches those with higher ids, and so everybody everybody, through links of its own that a test can cut. */
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { CuttableLink } from './cuttable.ts';
import { freePorts, TestNode, type TestCluster } from './harness.ts';

export interface LinkedNodes {
  readonly nodes: readonly TestNode[];
  /** The view of the last one has everybody's own address. */
  readonly urls: readonly string[];
  readonly links: Readonly<Record<'n1-n2' | 'n1-n3' | 'n2-n3', CuttableLink>>;
}

/** The nodes' files are in the directory of `cluster`, whose own nodes are not started. What is to be done at the end is added to `cleanUps`. */
export async function makeLinkedNodes({ directory }: TestCluster, cleanUps: (() => unknown)[]): Promise<LinkedNodes> {
  const ports = await freePorts(6);
  const [first, second, third, ...linkPorts] = ports as [number, number, number, number, number, number];
  const own = [first, second, third] as const;
  const links = {
    'n1-n2': await CuttableLink.open(linkPorts[0], second),
    'n1-n3': await CuttableLink.open(linkPorts[1], third),
    'n2-n3': await CuttableLink.open(linkPorts[2], third),
  };
  for (const link of Object.values(links)) cleanUps.push(() => link.close());
  // A node dials those that sort behind it.
  const views = [[first, links['n1-n2'].port, links['n1-n3'].port], [first, second, links['n2-n3'].port], own];
  const nodes = views.map((view, index) => {
    const id = `n${index + 1}`;
    const config = path.join(directory, `${id}.json`);
    const members = view.map((port, member) => ({ id: `n${member + 1}`, url: `ws://127.0.0.1:${port}` }));
    writeFileSync(config, JSON.stringify({ cluster: 'cut', nodes: members, timing: { healIntervalMs: 500 } }));
    return new TestNode(id, `ws://127.0.0.1:${own[index]}`, config);
  });
  for (const node of nodes) cleanUps.push(() => node.stop());
  await Promise.all(nodes.map((node) => node.start()));
  return { nodes, urls: nodes.map(({ url }) => url), links };
}
