import { realBench } from './bench.ts';
import { conformance } from './conformance.ts';

conformance('real', realBench);
