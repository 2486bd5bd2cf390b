/** All classes of faults. */
import { answering } from './answers.ts';
import { connections } from './connections.ts';
import { crashes } from './crashes.ts';
import type { Fault } from './fault.ts';
import { losses } from './losses.ts';
import { machines } from './machines.ts';
import { momentous } from './moments.ts';
import { rot } from './rot.ts';
import { stalking } from './stalking.ts';

export const faults: ReadonlyMap<string, Fault> = new Map([...crashes, ...momentous, ...answering, ...stalking, ...connections, ...machines, ...rot, ...losses].map((fault) => [fault.name, fault]));
