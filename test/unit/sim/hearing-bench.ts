/** Hears what is said in a cluster of three nodes, for tests of what nodes may say. */
import type { Message } from '../../../client/wire/messages.ts';
import type { View } from '../../../client/wire/view.ts';
import { Hearing } from '../../sim/testimony/hearing.ts';

export const view: View = { cluster: 'test', epoch: 1, partitions: 1, replicationFactor: 3, members: ['n1', 'n2', 'n3'].map((id) => ({ id, url: `ws://${id}:1`, weight: 1, zone: null })) };

export type Said = readonly [by: string, to: string, message: Message];

/** Each in a turn of its own; what is sent has arrived when the next one speaks. */
export function failuresIn(said: readonly Said[]): string[] {
  const failures: string[] = [];
  const hearing = new Hearing(failures, view);
  said.forEach(([by, to, message], i) => {
    hearing.said(i + 1, by, to, [message]);
    hearing.received(i + 1, to, by, [message]);
  });
  hearing.settle();
  return failures;
}
