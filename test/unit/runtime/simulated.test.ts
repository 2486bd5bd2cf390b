import type { Bench } from './conformance.ts';
import { conformance } from './conformance.ts';
import { World } from '../../sim/world.ts';

/** Latencies without chance, so that frames sent in one turn arrive in one. */
const steady = { baseMs: 0.2, jitterMs: 0, tailChance: 0, tailMs: 0 };

async function simulated(): Promise<Bench> {
  const world = new World({ seed: 'conformance', network: { latency: steady }, stepsMax: 1_000_000 });
  for (const name of ['a', 'b', 'c', 'clock']) world.addHost(name, { skewMs: 1_234, driftPpm: 50 });
  let port = 7_000;
  return {
    start(machine) {
      const host = world.host(machine);
      host.crash('succeeded');
      return host.boot();
    },
    address: async (machine) => `ws://${machine}:${port++}`,
    until: (condition) => world.until(condition, 10_000),
    dispose: async () => {},
  };
}

conformance('simulated', simulated);
