/**
 * The part of `cluster.config.json` that the command line needs: which nodes there are, and where they keep their data.
 * What else stands there is the nodes' business; they check it all.
 */
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { InputError } from './exit-codes.ts';

export const clusterFileDefault = 'cluster.config.json';

export interface ClusterFile {
  readonly file: string;
  readonly cluster: string | undefined;
  readonly nodes: readonly { readonly id: string; readonly url: string }[];
  /** As an absolute path. */
  readonly dataDirectory: string;
}

/** @throws InputError that names the file and what is wrong. */
export function readClusterFile(file: string): ClusterFile {
  let content: unknown;
  try {
    content = JSON.parse(readFileSync(file, 'utf8'));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') throw new InputError(`${file}: there is no such file; name the nodes by --nodes ws://host:port,... or a configuration by --config <file>`);
    throw new InputError(`${file}: ${error instanceof SyntaxError ? 'is not JSON' : 'can’t be read'}: ${(error as Error).message}`);
  }
  const { cluster, nodes, dataDirectory = 'data' } = (content ?? {}) as { cluster?: unknown; nodes?: unknown; dataDirectory?: unknown };
  if (!Array.isArray(nodes) || nodes.length === 0 || !nodes.every(isNode)) throw new InputError(`${file}: nodes: must be a list of nodes, as [{ "id": "n1", "url": "ws://127.0.0.1:7101" }]`);
  return {
    file,
    cluster: typeof cluster === 'string' ? cluster : undefined,
    nodes,
    dataDirectory: path.resolve(path.dirname(file), String(dataDirectory)),
  };
}

function isNode(node: unknown): node is { id: string; url: string } {
  const { id, url } = (node ?? {}) as { id?: unknown; url?: unknown };
  return typeof id === 'string' && typeof url === 'string';
}
