/** `dtp-cluster/testing` as somebody uses it who tests their own transactions. */
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { Database, DtpError, TransactionOutcomeUnknown } from '../../client/index.ts';
import { seeds, simulate, SimulationFailed, type Simulation } from '../sim/testing.ts';
import { importsOf } from '../tidy/imports.ts';
import { parse, root } from '../tidy/sources.ts';

afterEach(() => vi.unstubAllEnvs());

async function failureOf(simulation: Promise<unknown>): Promise<SimulationFailed> {
  const failure: unknown = await simulation.then(() => null, (error: unknown) => error);
  expect(failure).toBeInstanceOf(SimulationFailed);
  return failure as SimulationFailed;
}

/** Two tellers at two machines pay out of one account, in whichever way is given. */
function bank(pay: (db: Database, amount: number, simulation: Simulation) => Promise<boolean>) {
  return async (simulation: Simulation): Promise<void> => {
    const { db, cluster, random, sleep } = simulation;
    await db.set('balance', 100);
    const tellers = await Promise.all([cluster.connect(), cluster.connect()]);
    let paid = 0;
    await Promise.all(tellers.map(async (teller) => {
      for (let i = 0; i < 5; i++) {
        if (await pay(teller, 10, simulation)) paid += 10;
        await sleep(random.between(0, 5));
      }
    }));
    await cluster.calm();
    expect(await db.get('balance')).toBe(100 - paid);
  };
}

async function payWell(db: Database, amount: number): Promise<boolean> {
  return db.transaction(async (tx) => {
    const balance = await tx.get<number>('balance');
    if (balance < amount) return false;
    tx.set('balance', balance - amount);
    return true;
  }, { timeoutMs: 30_000 });
}

describe('a simulated cluster', () => {
  it.each([
    ['send decide', {}],
    // Nobody can have decided that one, so it is aborted; the client is told so and tries again.
    ['send prepare', { nth: 2, when: 'after' }],
    ['send committed', { when: 'after' }],
  ] as const)('kills a node at %s, %j', async (moment, options) => {
    await simulate({ nodes: 3 }, async ({ db, cluster }) => {
      const [coordinator] = cluster.replicasOf('a') as [string];
      await db.set('a', 'old', { protocol: '2pc' });
      const killed = cluster.crashAt(coordinator, moment, options);
      const write = db.set('a', 'new', { protocol: '2pc', timeoutMs: 60_000 });
      await killed;
      expect(cluster.isUp(coordinator)).toBe(false);
      await cluster.restart(coordinator);
      await write;
      expect(await db.get('a')).toBe('new');
    });
  });

  it('refuses moments that there are not', async () => {
    await simulate({ nodes: 3 }, ({ cluster }) => {
      expect(() => cluster.crashAt('n1', 'send nonsense')).toThrow(RangeError);
      expect(() => cluster.crashAt('n1', 'receive vote', { when: 'after' })).toThrow(RangeError);
      expect(() => cluster.crashAt('n9', 'receive vote')).toThrow(RangeError);
    });
  });

  it('is used as a real one is, and broken as a real one breaks', async () => {
    const { result, simulatedMs } = await simulate({ seed: 42, nodes: 3 }, async ({ db, cluster, sleep, now }) => {
      expect(db).toBeInstanceOf(Database);
      await db.set('a', 1);
      cluster.crash('n1');
      expect(cluster.isUp('n1')).toBe(false);
      cluster.partition(['n1'], ['n2', 'n3']);
      await db.transaction(async (tx) => tx.set('a', (await tx.get<number>('a')) + 1));
      void cluster.restart('n1');
      expect(cluster.isUp('n1')).toBe(false);
      cluster.heal();
      const before = now();
      await sleep(60_000);
      expect(now() - before).toBe(60_000);
      expect(cluster.isUp('n1')).toBe(true);
      return db.get<number>('a');
    });
    expect(result).toBe(2);
    expect(simulatedMs).toBeGreaterThan(60_000);
  });

  it('goes the same way for the same seed, and another way for another', async () => {
    const run = (seed: number) => simulate({ seed, chaos: true }, bank(payWell));
    const [first, second, other] = [await run(7), await run(7), await run(8)];
    expect(second).toEqual(first);
    expect(other.traceHash).not.toBe(first.traceHash);
  });

  it('finishes the transaction of a coordinator that dies under it', async () => {
    const reports = await seeds(10, (seed) => simulate({ seed }, async ({ db, cluster, sleep, random }) => {
      const [coordinator] = cluster.replicasOf('key') as [string];
      const written = db.set('key', 'value');
      await sleep(random.between(0, 2));
      cluster.crash(coordinator);
      await written;
      expect(await db.get('key')).toBe('value');
      await cluster.restart(coordinator);
      return db.stats;
    }));
    expect(reports.some(({ result }) => result.lost > 0)).toBe(true);
    expect(reports.every(({ result }) => result.lost === result.resolved)).toBe(true);
  });

  it('makes outcomes unknown', async () => {
    await simulate({}, async ({ cluster, sleep }) => {
      const cut = await cluster.connect({ name: 'cut', timeoutMs: 1_000 });
      const write = cut.set('key', 1).then(() => null, (error: unknown) => error);
      await sleep(0);
      const { heal } = cluster.partition(['cut'], cluster.nodes, 'one-way');
      expect(await write).toBeInstanceOf(TransactionOutcomeUnknown);
      heal();
      expect(await cut.get('key', { timeoutMs: 20_000 })).toSatisfy((value) => value === undefined || value === 1);
    });
  });

  it('lets processes stand still and messages take long', async () => {
    await simulate({}, async ({ db, cluster, sleep, now }) => {
      await db.set('key', 1);
      const timed = async (work: () => Promise<unknown>): Promise<number> => {
        const before = now();
        await work();
        return now() - before;
      };
      const { heal } = cluster.slow(['c1'], 200);
      expect(await timed(() => db.get('key'))).toBeGreaterThan(400);
      heal();
      await sleep(1_000);
      expect(await timed(() => db.get('key'))).toBeLessThan(100);
      cluster.pause('c1', 500);
      expect(await timed(() => db.get('key'))).toBeGreaterThan(400);
      for (const node of cluster.nodes) cluster.pause(node, 300);
      expect(await timed(() => db.get('key'))).toBeGreaterThan(200);
    });
  });

  it('is calm when asked: whatever was broken works again', async () => {
    await seeds(5, (seed) => simulate({ seed, chaos: 'heavy' }, async ({ db, cluster, sleep }) => {
      await sleep(3_000);
      cluster.crash('n1');
      cluster.partition(['n2'], ['n3', 'c1']);
      await cluster.calm();
      const before = cluster.faults;
      expect(cluster.nodes.map((node) => cluster.isUp(node))).toEqual([true, true, true]);
      await db.set('key', 1, { timeoutMs: 5_000 });
      await sleep(10_000);
      expect(cluster.faults).toEqual(before);
      expect(cluster.nodes.map((node) => cluster.isUp(node))).toEqual([true, true, true]);
      cluster.crash('n2');
      await sleep(10_000);
      expect(cluster.isUp('n2')).toBe(false);
    }));
  });

  it('has other sizes', async () => {
    await simulate({ nodes: 1 }, ({ db }) => db.set('key', 1));
    await simulate({ nodes: 5, replicationFactor: 2 }, async ({ cluster }) => expect(cluster.replicasOf(['account', 1])).toHaveLength(2));
  });

  it('lets no client fail under light chaos', async () => {
    const reports = await seeds(5, (seed) => simulate({ seed, chaos: 'light' }, bank(payWell)));
    expect(reports.flatMap(({ faults }) => Object.keys(faults)).length).toBeGreaterThan(5);
  });
});

describe('code with a mistake is caught:', () => {
  it('what is read outside of the transaction is not checked by it', async () => {
    await seeds(20, (seed) => simulate({ seed }, bank(payWell)));
    const failure = await failureOf(seeds(20, (seed) => simulate({ seed }, bank(async (db, amount) => {
      const balance = await db.get<number>('balance');
      return db.transaction((tx) => {
        if (balance < amount) return false;
        tx.set('balance', balance - amount);
        return true;
      });
    }))));
    expect(failure.message).toMatch(/^seed \d+: expected \+?\d+ to be \+?\d+/);
    expect(failure.cause).toMatchObject({ name: 'AssertionError' });
  });

  it('the function of a transaction may run more than once', async () => {
    let receipts = 0;
    const failure = await failureOf(seeds(20, (seed) => simulate({ seed }, async ({ cluster }) => {
      receipts = 0;
      const buyers = await Promise.all([cluster.connect(), cluster.connect(), cluster.connect()]);
      await Promise.all(buyers.map((buyer) => buyer.transaction(async (tx) => {
        tx.set('sold', ((await tx.get<number | undefined>('sold')) ?? 0) + 1);
        receipts++;
      })));
      expect(receipts).toBe(3);
    })));
    expect(failure.trace).toContain('runs again');
  });

  it('an unknown outcome is no failure', async () => {
    const failure = await failureOf(seeds(100, (seed) => simulate({ seed, chaos: 'heavy' }, bank(async (db, amount) => {
      for (;;) {
        try {
          await db.transaction((tx) => tx.add('balance', -amount), { timeoutMs: 200 });
          return true;
        } catch (error) {
          if (!(error instanceof DtpError)) throw error; // else: again
        }
      }
    }))));
    expect(failure.trace).toContain('outcome-unknown');
  }, 120_000);
});

describe('a failure', () => {
  it('says what, by which seed it comes again, and what led to it', async () => {
    const wrong = new Error('the shelves are empty');
    const failure = await failureOf(simulate({ seed: 'spring' }, async ({ db, cluster, log }) => {
      await db.set(['shelf', 1], 'apples');
      log('the shop opens');
      await db.transaction(async (tx) => tx.delete((await tx.get('nothing')) ?? ['shelf', 1]));
      cluster.crash('n2');
      throw wrong;
    }));
    expect(failure.message).toContain('seed spring: the shelves are empty');
    expect(failure.message).toContain('seed: "spring"');
    expect(failure).toMatchObject({ cause: wrong, seed: 'spring', name: 'SimulationFailed' });
    expect(failure.trace).not.toContain('store open');
    const told = ["c1     #1 set [ 'shelf', 1 ] 'apples'", 'the shop opens', "tx.get 'nothing'", "tx.delete [ 'shelf', 1 ]", 'crashed'];
    expect(told.map((line) => failure.trace.includes(line))).toEqual(told.map(() => true));
    expect(told.map((line) => failure.trace.indexOf(line))).toEqual(told.map((line) => failure.trace.indexOf(line)).sort((a, b) => a - b));
  });

  it('comes again with the seed', async () => {
    const run = () => failureOf(simulate({ seed: 3, chaos: true }, async ({ db, sleep, now }) => {
      await db.set('key', 1);
      await sleep(2_000);
      throw new Error(`at ${now()}`);
    }));
    const [first, second] = [await run(), await run()];
    expect(second.message).toBe(first.message);
    expect(second.trace).toBe(first.trace);
  });

  it('is reported of a function that waits for nothing', async () => {
    const failure = await failureOf(simulate({ simulatedMsMax: 10_000 }, () => new Promise(() => {})));
    expect(failure.message).toContain('came to no end within 10000 simulated ms. No call of the database is open');
  });

  it('is reported of a call that never ends', async () => {
    const failure = await failureOf(simulate({ simulatedMsMax: 5_000 }, async ({ db, cluster }) => {
      for (const node of cluster.nodes) cluster.crash(node);
      await db.get('key', { timeoutMs: 60_000 });
    }));
    expect(failure.message).toContain("Open: c1 #1 get 'key'");
  });

  it('is reported of what goes in circles', async () => {
    const failure = await failureOf(simulate({ stepsMax: 20_000 }, async ({ db }) => {
      while ((await db.get('key')) === undefined);
    }));
    expect(failure.message).toContain('no end after 20000 steps');
  });

  it('is one of the function that throws at once', async () => {
    const failure = await failureOf(simulate({}, () => {
      throw new Error('at once');
    }));
    expect(failure.message).toContain('seed 1: at once');
  });
});

describe('what makes no sense is refused, with what is allowed:', () => {
  const wrong: [options: Parameters<typeof simulate>[0], message: string][] = [
    [{ nodes: 0 }, 'nodes: a whole number from 1 to 64'],
    [{ nodes: 2, replicationFactor: 3 }, 'replicationFactor: a whole number from 1 to 2'],
    [{ chaos: 'total' as 'heavy' }, 'chaos: true, false or one of light, normal, heavy'],
    [{ stepsMax: Number.NaN }, 'stepsMax: a whole number'],
  ];
  it.each(wrong)('%o', async (options, message) => expect(simulate(options, () => {})).rejects.toThrow(message));

  it('an unknown host, a name twice', async () => {
    await simulate({}, async ({ cluster, sleep }) => {
      expect(() => cluster.crash('n4')).toThrow("there is no host 'n4'; there are n1, n2, n3, c1");
      expect(() => cluster.crash('c1')).toThrow("there is no node 'c1'; there are n1, n2, n3");
      expect(() => cluster.partition(['n1'], ['elsewhere'])).toThrow("there is no host 'elsewhere'");
      await expect(cluster.connect({ name: 'n1' })).rejects.toThrow('there is a host n1 already');
      await expect(sleep(Number.NaN)).rejects.toThrow('sleep: a number');
    });
  });
});

describe('seeds', () => {
  it('are run in order', async () => {
    expect(await seeds(4, (seed) => seed * 2)).toEqual([2, 4, 6, 8]);
    expect(await seeds(2, (seed) => Promise.resolve(seed), { from: 100 })).toEqual([100, 101]);
  });

  it('end with the first that fails', async () => {
    const run: number[] = [];
    await expect(seeds(10, (seed) => {
      run.push(seed);
      if (seed === 3) throw new Error('three');
    })).rejects.toThrow('three');
    expect(run).toEqual([1, 2, 3]);
  });

  it('are one where the environment names it', async () => {
    vi.stubEnv('DTP_SEED', '17');
    expect(await seeds(4, (seed) => seed)).toEqual([17]);
    vi.stubEnv('DTP_SEED', 'x');
    await expect(seeds(4, (seed) => seed)).rejects.toThrow('DTP_SEED');
  });
});

describe('the package', () => {
  const { exports, files, dependencies } = JSON.parse(readFileSync(path.join(root, 'package.json'), 'utf8')) as {
    exports: Record<string, Record<string, string>>; files: string[]; dependencies: Record<string, string>;
  };

  /** What it imports, and what that imports: files of ours, packages of others. */
  const own = new Set<string>();
  const foreign = new Set<string>();
  const visit = (file: string): void => {
    if (own.has(file)) return;
    own.add(file);
    for (const { specifier } of importsOf(parse(file, readFileSync(path.join(root, file), 'utf8')))) {
      if (specifier.startsWith('.')) visit(path.posix.join(path.posix.dirname(file), specifier));
      else if (!specifier.startsWith('node:')) foreign.add(specifier);
    }
  };
  visit('test/sim/testing.ts');

  it('exports it from where the compiler puts it', () => {
    expect(exports['./testing']).toEqual({ types: './dist/test/sim/testing.d.ts', default: './dist/test/sim/testing.js' });
  });

  it('packs all that it imports', () => {
    expect(own).toContain('node/node.ts');
    const within = (file: string, directories: string[]): boolean => directories.some((directory) => `dist/${file}`.startsWith(`${directory}/`));
    const left = files.filter((entry) => entry.startsWith('!')).map((entry) => entry.slice(1));
    expect([...own].filter((file) => !within(file, files) || within(file, left))).toEqual([]);
  });

  it('needs nothing for it that is only there for developing', () => {
    expect([...foreign].filter((name) => !Object.hasOwn(dependencies, name))).toEqual([]);
  });
});
