/** What is explored when nothing else is asked for, and where planted mistakes show. */
import type { MistakeName } from './mistake.ts';
import { run, type Run } from './run.ts';

/** Widest bounds that take at most some minutes each. */
export const program: readonly Run[] = [
  run('one/update', { crashes: 2, recoveries: 1, marks: 1 }),
  run('two/alone', { crashes: 1, breaks: 1, recoveries: 1 }),
  run('two/update', { recoveries: 1 }),
  run('two/update', { crashes: 1 }),
  run('three/alone', { crashes: 1, breaks: 1 }),
  run('three/alone', { recoveries: 1 }),
  run('three/alone', { marks: 2 }),
  run('three/update'),
  run('three/blind'),
  run('three/skew'),
  run('chain/alone', { crashes: 1, recoveries: 1, promptDisk: true }),
  run('chain/update'),
  run('overlap/alone', { crashes: 1 }),
  run('overlap/update', { promptDisk: true }),
  run('three/update', { crashes: 1, recoveries: 1, delays: 2, promptDisk: true }),
  run('three/near', { recoveries: 1, delays: 3, promptDisk: true }),
  run('three/blind', { breaks: 1, recoveries: 1, delays: 2, promptDisk: true }),
  run('guest/update', { crashes: 1, recoveries: 1, delays: 1, promptDisk: true }),
  run('overlap/update', { crashes: 1, recoveries: 1, delays: 1, promptDisk: true }),
  run('overlap/skew', { breaks: 1, recoveries: 1, delays: 1, promptDisk: true }),
];

/** For each mistake a search that soon comes to it. */
export const shows: Readonly<Record<MistakeName, Run>> = {
  'majority-is-fast': run('three/update', { crashes: 1, delays: 0 }),
  'unequal-is-fast': run('three/near', { crashes: 1, delays: 2 }),
  'one-no-aborts': run('overlap/update', { crashes: 1, delays: 0 }),
  'change-of-mind': run('two/alone', { crashes: 1 }),
  'recovery-aborts': run('two/alone', { crashes: 1 }),
  'recovery-takes-least': run('chain/cross', { crashes: 1, delays: 2 }),
  'recovery-ignores-accepted': run('two/alone', { crashes: 1 }),
  'home-is-all': run('chain/alone', { crashes: 1, delays: 0 }),
  'recovery-asks-home': run('chain/alone', { crashes: 1, delays: 0 }),
  'recovery-asks-coordinator': run('two/alone', { crashes: 1 }),
  'recovery-waits': run('two/alone', { crashes: 1 }),
  'hasty-disk': run('two/alone', { crashes: 1 }),
  'votes-forgotten': run('two/alone', { crashes: 1 }),
  'promises-forgotten': run('two/alone', { crashes: 1 }),
  'acceptances-forgotten': run('one/update', { crashes: 1 }),
  'outcomes-forgotten': run('two/alone', { crashes: 1, marks: 1 }),
  'marks-too-much': run('two/alone', { crashes: 1, marks: 1 }),
  'log-is-skipped': run('two/alone', { protocols: ['2pc'], crashes: 1 }),
  'replicas-decide': run('three/alone', { protocols: ['2pc'], crashes: 1, recoveries: 1, delays: 1 }),
  'vote-is-never-forced': run('two/alone', { protocols: ['o2pc'], crashes: 1 }),
  'precommit-of-one': run('three/alone', { protocols: ['3pc'], crashes: 1, recoveries: 1, delays: 0 }),
  'precommit-wins': run('three/alone', { protocols: ['3pc'], crashes: 1, recoveries: 1, delays: 2 }),
};
