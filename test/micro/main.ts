/**
 * `npm run bench -- micro`: what single parts of a node cost, so that a regression has an address. Writes one JSON array of
 * results to standard output. `--keys n`: of the store that is measured.
 */
import { parseArgs } from 'node:util';
import { measureParts } from './parts.ts';
import { measureJournal, measureStore } from './store.ts';

const { values } = parseArgs({ options: { keys: { type: 'string', default: '50000' } } });
const parts = measureParts();
const itemNs = parts.find(({ part }) => part === 'digest: item of a version')?.median ?? Number.NaN;
const results = [...parts, ...(await measureJournal()), ...(await measureStore(Number(values.keys), itemNs))];
process.stdout.write(`${JSON.stringify(results)}\n`);
