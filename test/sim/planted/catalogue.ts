/** All planted bugs. */
import type { PlantedBug } from './bug.ts';
import { batchBugs } from './bugs/batches.ts';
import { cachingBugs } from './bugs/caching.ts';
import { collectingBugs } from './bugs/collecting.ts';
import { decidingBugs } from './bugs/deciding.ts';
import { forgettingBugs } from './bugs/forgetting.ts';
import { healingBugs } from './bugs/healing.ts';
import { rememberingBugs } from './bugs/remembering.ts';
import { storingBugs } from './bugs/storing.ts';
import { votingBugs } from './bugs/voting.ts';

export const catalogue: readonly PlantedBug[] = [...decidingBugs, ...votingBugs, ...rememberingBugs, ...storingBugs, ...healingBugs, ...forgettingBugs, ...collectingBugs, ...batchBugs, ...cachingBugs];
