/** All that can be measured, by name. */
import { dtp } from './dtp.ts';
import type { Target, TargetName } from './target.ts';

export const targets: Readonly<Record<TargetName, Target>> = { dtp };
