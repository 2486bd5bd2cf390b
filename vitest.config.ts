import { defineConfig } from 'vitest/config';

const everywhere = {
  environment: 'node',
  // Separate processes: lmdb and the codec's tables are native or global state that files must not share.
  pool: 'forks',
  exclude: ['dist/**', 'node_modules/**'],
} as const;

export default defineConfig({
  test: {
    // Tests are bound by the processor, and everything that they start runs beside them.
    maxWorkers: 2,
    projects: [
      {
        test: { ...everywhere, name: 'unit', include: ['test/**/*.test.ts'], exclude: [...everywhere.exclude, 'test/cluster/**'], testTimeout: 30_000, hookTimeout: 30_000, sequence: { groupOrder: 0 } },
      },
      {
        // Real processes, each with a disk and a socket: one file at a time, and after all others, or they starve one another.
        test: { ...everywhere, name: 'cluster', include: ['test/cluster/**/*.test.ts'], fileParallelism: false, testTimeout: 120_000, hookTimeout: 60_000, sequence: { groupOrder: 1 } },
      },
    ],
  },
});
