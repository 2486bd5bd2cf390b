/** What is explored when nothing else is asked for, and where planted mistakes show. */
import { commitProtocols } from '../../../client/wire/protocols.ts';
import type { MistakeName } from './mistake.ts';
import { run, type Run } from './run.ts';

const ofDtp: readonly Run[] = [
  run('one/update', { crashes: 2, recoveries: 1, marks: 1 }),
  run('two/alone', { crashes: 1, breaks: 1, recoveries: 1 }),
  run('two/update', { recoveries: 1 }),
  run('two/update', { crashes: 1 }),
  run('three/alone', { crashes: 1, breaks: 1 }),
  run('three/alone', { recoveries: 1 }),
  run('chain/alone', { asks: 1 }),
  run('three/alone', { marks: 2 }),
  run('three/update'),
  run('three/blind'),
  run('three/skew'),
  run('chain/alone', { crashes: 1, recoveries: 1, promptDisk: true }),
  run('chain/update'),
  run('overlap/alone', { crashes: 1 }),
  run('overlap/update', { promptDisk: true }),
  run('three/update', { crashes: 1, recoveries: 1, delays: 2, promptDisk: true }),
  run('three/near', { recoveries: 1, delays: 2, promptDisk: true }),
  run('three/blind', { breaks: 1, recoveries: 1, delays: 1, promptDisk: true }),
  run('guest/update', { crashes: 1, recoveries: 1, delays: 1, promptDisk: true }),
  run('overlap/update', { crashes: 1, recoveries: 1, delays: 1, promptDisk: true }),
];

const ofBatches: readonly Run[] = [
  run('two/batch', { crashes: 1, breaks: 1, recoveries: 1 }),
  run('two/batch', { crashes: 1, asks: 1, marks: 1 }),
  run('three/batch', { asks: 1 }),
  run('chain/batch', { asks: 1, marks: 1 }),
  run('one/astride', { crashes: 1, asks: 1, marks: 1 }),
  run('two/company', { recoveries: 1 }),
  run('two/company', { crashes: 1 }),
  run('chain/convoy'),
  run('three/batch', { crashes: 1, recoveries: 1, asks: 1, delays: 1, promptDisk: true }),
  run('guest/batch', { crashes: 1, asks: 1, delays: 1, promptDisk: true }),
  run('three/company', { crashes: 1, asks: 1, delays: 1, promptDisk: true }),
  run('overlap/convoy', { crashes: 1, recoveries: 1, delays: 1, promptDisk: true }),
];

const ofSiblings: readonly Run[] = (['2pc', 'o2pc', '3pc'] as const).flatMap((sibling) => [
  run('three/update', { protocols: [sibling] }),
  run('three/alone', { protocols: [sibling], crashes: 1, breaks: 1 }),
  run('chain/alone', { protocols: [sibling], asks: 1 }),
  run('two/batch', { protocols: [sibling], crashes: 1, asks: 1 }),
  run('chain/batch', { protocols: [sibling], asks: 1 }),
  run('chain/update', { protocols: [sibling], crashes: 1, promptDisk: true }),
  run('three/update', { protocols: [sibling], crashes: 1, recoveries: 1, delays: 1, promptDisk: true }),
  run('overlap/update', { protocols: [sibling], crashes: 1, delays: 1, promptDisk: true }),
]);

const pairs = commitProtocols.flatMap((first, i) => commitProtocols.slice(i + 1).map((second) => [first, second] as const));

const ofPairs: readonly Run[] = [
  ...pairs.flatMap((protocols) => [run('two/update', { protocols, crashes: 1 }), run('chain/update', { protocols })]),
  ...([['dtp', '2pc'], ['3pc', 'dtp'], ['o2pc', '3pc']] as const).map((protocols) => run('three/update', { protocols, crashes: 1, recoveries: 1, delays: 1, promptDisk: true })),
];

/** Bounds as wide as a minute or so allows for each. */
export const program: readonly Run[] = [...ofDtp, ...ofBatches, ...ofSiblings, ...ofPairs];

/** For each mistake a search that soon comes to it. */
export const shows: Readonly<Record<MistakeName, Run>> = {
  'majority-is-fast': run('three/update', { crashes: 1, delays: 0 }),
  'unequal-is-fast': run('three/near', { crashes: 1, delays: 2, promptDisk: true }),
  'one-no-aborts': run('overlap/update', { crashes: 1, delays: 0 }),
  'change-of-mind': run('two/alone', { crashes: 1 }),
  'recovery-aborts': run('two/alone', { crashes: 1 }),
  'recovery-takes-least': run('chain/cross', { crashes: 1, delays: 2 }),
  'recovery-ignores-accepted': run('two/alone', { crashes: 1 }),
  'home-is-all': run('chain/alone', { crashes: 1, delays: 0 }),
  'recovery-asks-home': run('chain/alone', { crashes: 1, delays: 0 }),
  'recovery-asks-coordinator': run('chain/alone', { crashes: 1, delays: 0 }),
  'recovery-waits': run('two/alone', { crashes: 1 }),
  'hasty-disk': run('two/alone', { crashes: 1 }),
  'votes-forgotten': run('two/alone', { crashes: 1 }),
  'promises-forgotten': run('two/alone', { crashes: 1 }),
  'acceptances-forgotten': run('one/update', { crashes: 1 }),
  'outcomes-forgotten': run('two/alone', { crashes: 1, marks: 1 }),
  'marks-too-much': run('two/alone', { crashes: 1, marks: 1 }),
  'parts-not-named': run('two/batch', { asks: 1 }),
  'part-not-answered': run('two/batch', { crashes: 1, asks: 1 }),
  'part-recovered-alone': run('two/batch', { asks: 1 }),
  'votes-past-promised-part': run('three/batch', { asks: 1, delays: 2, promptDisk: true }),
  'part-not-retained': run('two/batch', { asks: 1, marks: 1 }),
  'log-is-skipped': run('two/alone', { protocols: ['2pc'], crashes: 1 }),
  'replicas-decide': run('three/alone', { protocols: ['2pc'], crashes: 1, recoveries: 1, delays: 1 }),
  'vote-is-never-forced': run('two/alone', { protocols: ['o2pc'], crashes: 1 }),
  'precommit-of-one': run('three/alone', { protocols: ['3pc'], crashes: 1, recoveries: 1, delays: 0 }),
  'precommit-wins': run('three/alone', { protocols: ['3pc'], crashes: 1, recoveries: 1, delays: 2 }),
};
