/** A whole node, in a simulated world. */
import { describe, expect, it } from 'vitest';
import { decodeGreeting, encodeFrame } from '../../client/wire/codec.ts';
import { Tag, type Hello } from '../../client/wire/messages.ts';
import { protocolVersion } from '../../client/wire/session.ts';
import { SimCluster, urlOf } from '../sim/cluster.ts';
import { goodDay } from '../sim/plan/conditions.ts';
import { World } from '../sim/world.ts';

describe('a node that stops', () => {
  const greetings: [who: string, hello: Hello][] = [
    ['a client', [Tag.hello, protocolVersion, 'simulated', null, null, 0, 0, 0, 0, null]],
    ['a peer in a new life', [Tag.hello, protocolVersion, 'simulated', 'n2', 'disk', 2, 0, 5, 0, 'n1']],
  ];
  it.each(greetings)('takes up no session with %s whose connection came before', async (_who, hello) => {
    const world = new World({ seed: 'stop' });
    const cluster = new SimCluster(world, { nodes: 2, replicationFactor: 2, partitions: 4, timing: {}, store: {} }, goodDay);
    cluster.start('n1');
    await world.until(() => cluster.nodes.has('n1'));
    const answers: unknown[] = [];
    let greet: (() => void) | null = null;
    world.addHost('visitor').start((runtime) => {
      const connection = runtime.dial(urlOf('n1'));
      connection.onOpen = () => (greet = () => connection.send(encodeFrame([hello])));
      connection.onFrame = (frame) => answers.push(decodeGreeting(frame, protocolVersion));
      connection.onClose = () => {};
    });
    await world.until(() => greet !== null);
    let stopped = false;
    cluster.nodes.get('n1')?.stop(() => (stopped = true));
    await world.until(() => stopped);
    (greet as unknown as () => void)();
    await world.runFor(1_000);
    expect([answers, cluster.failures]).toEqual([[[Tag.refuse, 'not-ready', expect.any(String), 0]], []]);
  });
});

describe('a node that stood still', () => {
  it.each([[500, false], [900, true]])('for %i ms compares with all others at once: %s', async (forMs, compares) => {
    const world = new World({ seed: 'still' });
    // Nobody takes another one for dead meanwhile.
    const cluster = new SimCluster(world, { nodes: 3, replicationFactor: 3, partitions: 4, timing: { healIntervalMs: 600_000, heartbeatIntervalMs: 10_000, recoveryDelayMs: 60_000 }, store: {} }, goodDay);
    for (const id of cluster.ids) cluster.start(id);
    const lagOf = (id: string) => cluster.nodes.get(id)?.status['lag'] as { exchanges: number; lastAgreementMs: number | null } | undefined;
    await world.until(() => cluster.ids.every((id) => lagOf(id)?.lastAgreementMs != null));
    await world.runFor(5_000);
    const before = lagOf('n2')?.exchanges ?? 0;
    world.host('n2').pause(forMs);
    await world.runFor(forMs + 500);
    expect([(lagOf('n2')?.exchanges ?? 0) - before, cluster.failures]).toEqual([compares ? 2 : 0, []]);
    for (const id of cluster.ids) expect((lagOf(id)?.lastAgreementMs ?? 0) < 1_000, id).toBe(compares && id === 'n2');
  });
});
