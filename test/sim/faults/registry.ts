/** All classes of faults. */
import { connections } from './connections.ts';
import { crashes } from './crashes.ts';
import type { Fault } from './fault.ts';
import { machines } from './machines.ts';
import { momentous } from './moments.ts';
import { rot } from './rot.ts';

export const faults: ReadonlyMap<string, Fault> = new Map([...crashes, ...momentous, ...connections, ...machines, ...rot].map((fault) => [fault.name, fault]));
