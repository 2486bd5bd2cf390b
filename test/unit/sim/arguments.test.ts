import { describe, expect, it } from 'vitest';
import { readArguments, usage } from '../../sim/cli/arguments.ts';
import { faults } from '../../sim/faults/registry.ts';
import { workloads } from '../../sim/workloads/registry.ts';

const read = (line: string) => readArguments(line.split(' ').filter((word) => word !== ''));

describe('arguments of the simulation', () => {
  it('ask for a range of seeds, for some, or for a plan', () => {
    expect(read('')?.subject).toEqual({ kind: 'range', from: 1, count: 100 });
    expect(read('--seeds 1000 --from 5')?.subject).toEqual({ kind: 'range', from: 5, count: 1_000 });
    expect(read('--seed 4711 --seed x')?.subject).toEqual({ kind: 'seeds', seeds: ['4711', 'x'] });
    expect(read('--plan p.json')?.subject).toEqual({ kind: 'plan', file: 'p.json' });
  });

  it('narrow it down, and say what to do with it', () => {
    expect(read('--workload bank --fault crash,pause --fault reset --jobs 3 --keep-going')).toMatchObject({ workload: 'bank', faults: ['crash', 'pause', 'reset'], jobs: 3, keepGoing: true, task: 'judge' });
    expect(read('--fault none')?.faults).toEqual([]);
    expect(read('')).toMatchObject({ workload: undefined, faults: undefined, keepGoing: false });
    expect(read('--seed 1 --trace')?.task).toBe('trace');
    expect(read('--seed 1 --shrink')?.task).toBe('shrink');
    expect(read('--help')).toBeNull();
  });

  const wrong: [line: string, ...mentions: string[]][] = [
    ['--workload banc', 'banc', ...Object.keys(workloads)],
    ['--fault crash,flood', 'flood', ...faults.keys()],
    ['--flaut crash', '--flaut', '--seeds', '--fault', '--trace'],
    ['bank', 'bank', '--workload'],
    ['--seeds many', '--seeds', 'many'],
    ['--seeds 0', '--seeds', '1'],
    ['--from -1', '--from'],
    ['--jobs 1.5', '--jobs', '1.5'],
    ['--seeds', '--seeds'],
    ['--seed 1 --seeds 2', '--seed', '--seeds'],
    ['--seed 1 --plan p', '--seed', '--plan'],
    ['--trace', '--trace', '--seed', '--plan'],
    ['--seed 1 --seed 2 --shrink', '--shrink'],
    ['--seed 1 --trace --shrink', '--trace', '--shrink'],
    ['--plan p --workload bank', '--plan', '--workload'],
  ];
  it.each(wrong)('are refused in one line: %s', (line, ...mentions) => {
    let message = '';
    try {
      read(line);
    } catch (error) {
      message = (error as Error).message;
    }
    expect(message.split('\n')).toHaveLength(1);
    for (const mention of mentions) expect(message).toContain(mention);
  });

  it('are explained, with all names', () => {
    for (const name of [...Object.keys(workloads), ...faults.keys()]) expect(usage).toContain(name);
  });
});
