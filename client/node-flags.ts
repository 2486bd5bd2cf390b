/**
 * Of the Node.js that runs a node, for whoever starts one in another way than by `dtp node` and `dtp up`, which set them.
 *
 * What a transaction leaves in memory lives for some milliseconds: of a young generation as small as the default, 16 MiB, much is still alive
 * at each collection and is copied, twice. And collections are made by one thread: several would wait for each other to be
 * scheduled, where processors have more than one process to run.
 */
export const nodeFlags: readonly string[] = ['--enable-source-maps', '--max-semi-space-size=32', '--no-parallel-scavenge'];
