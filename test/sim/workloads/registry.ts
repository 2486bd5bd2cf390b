import { append } from './append.ts';
import { bank } from './bank.ts';
import { counter } from './counter.ts';
import { multi } from './multi.ts';
import { register } from './register.ts';
import { ring } from './ring.ts';
import { skew } from './skew.ts';
import { tokens } from './tokens.ts';
import type { MakeWorkload } from './workload.ts';

export const workloads: Readonly<Record<string, MakeWorkload>> = { append, bank, counter, multi, register, ring, skew, tokens };
