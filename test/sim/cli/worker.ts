/** A process that runs seeds one by one, as it is asked to. */
import { drawPlan, type PlanOptions } from '../plan/plan.ts';
import { runPlan } from '../run.ts';
import { summaryOf } from './summary.ts';

process.on('message', (options: PlanOptions) => {
  void runPlan(drawPlan(options)).then((report) => process.send?.(summaryOf(report)));
});
// Ctrl-C is for the process that asks; when it is gone, so is the channel, and this one ends.
process.on('SIGINT', () => {});
process.on('disconnect', () => process.exit());
