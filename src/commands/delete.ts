/**
 * `wal-e delete`: shows what it would keep and delete, and with --confirm does it. What is decided is decided by the
 * plan (src/deletion/plan.ts); this file asks for it, prints it, and has it carried out.
 */
import { countBeside } from '../deletion/beside.ts';
import { type Findings, findOut } from '../deletion/findings.ts';
import {
  assertNothingNeededGoes,
  refuseContradiction,
  refuseDoubtfulOrder,
  refuseLoss,
  restorabilities,
} from '../deletion/guard.ts';
import { deleteNoted } from '../deletion/noted-run.ts';
import {
  formatObsolete,
  type ObsoleteReport,
  obsoleteLeftovers,
  reportObsolete,
} from '../deletion/obsolete.ts';
import { type Goal, type Plan, planDeletion } from '../deletion/plan.ts';
import { carryOut, removeObsolete } from '../deletion/removal.ts';
import { makeReport, type Report } from '../deletion/report.ts';
import { formatOutcome, formatReport } from '../deletion/report-text.ts';
import { checkArguments, type DeleteArguments, youngSince } from '../deletion/request.ts';
import { sayPlan } from '../deletion/saying.ts';
import type { Outcome, SweepOptions } from '../deletion/sweep.ts';
import { findTarget } from '../deletion/target.ts';
import { keepsVersions, newestDoomed } from '../deletion/versioned.ts';
import type { Call, Store } from '../store/store.ts';
import type { Context } from './context.ts';

export type { DeleteArguments } from '../deletion/request.ts';

type PlannedArguments = Exclude<DeleteArguments, { verb: 'old-versions' }>;

/** Exit status 1 when some key could not be deleted. */
export async function run(args: DeleteArguments, context: Context): Promise<number> {
  checkArguments(args);
  const dryRun = args.dryRun || !args.confirm;
  context.log.info(dryRun ? 'performing dry run of data deletion' : 'deleting data in the store');
  const store = await context.openStore();
  const options: SweepOptions = {
    dryRun,
    log: context.log,
    signal: context.signal,
    now: () => new Date(),
    terminal: process.stderr,
  };
  if (args.verb === 'old-versions') return deleteObsolete(args, store, options, context);
  const plan = await makePlan(args, store, context);
  const report = await reportOf(plan, store, args, context);
  if (!args.json && 'backups' in report) await context.print(formatReport(report));
  const outcome = dryRun ? await carryOut(plan, store, options) : await deleteNoted(plan, store, options);
  return finish(outcome, report, args, context);
}

async function deleteObsolete(
  args: DeleteArguments,
  store: Store,
  options: SweepOptions,
  context: Context,
): Promise<number> {
  const leftovers = await obsoleteLeftovers(store, youngSince(args), options);
  const isUnread = !args.json && isQuiet(options, context);
  const report = isUnread ? { dryRun: options.dryRun } : await reportObsolete(store, leftovers, options);
  if (!args.json && 'trees' in report) await context.print(formatObsolete(report));
  const expected = 'trees' in report ? report.objectsToDelete : 0;
  const outcome = await removeObsolete(store, leftovers, expected, options);
  return finish(outcome, report, args, context);
}

/** Only what is going to be read is gathered. */
async function reportOf(
  plan: Plan,
  store: Store,
  args: PlannedArguments,
  context: Context,
): Promise<Report | { readonly dryRun: boolean }> {
  const dryRun = args.dryRun || !args.confirm;
  if (!args.json && isQuiet({ dryRun }, context)) return { dryRun };
  const call = { signal: context.signal };
  return makeReport(plan, restorabilities(plan), {
    dryRun,
    beside: await countBeside(store, call),
    keepsVersions: await keepsVersions(newestDoomed(plan), store, call),
  });
}

/** WAL-E says nothing then, and cron makes a mail of every word. A dry run was asked for its report. */
function isQuiet({ dryRun }: { readonly dryRun: boolean }, { settings }: Context): boolean {
  return settings.options.terse === true && !dryRun;
}

async function makePlan(args: PlannedArguments, store: Store, { signal, log }: Context): Promise<Plan> {
  const now = new Date();
  const findings = await findOut(store, youngSince(args), { signal, log });
  const goal = await goalOf(args, findings, store, { signal });
  const plan = await planDeletion(store, goal, findings, { now, signal });
  if (goal.kind !== 'everything') refuseContradiction(findings, plan.segmentSize.bytes);
  if (goal.kind !== 'everything') refuseDoubtfulOrder(plan, now);
  refuseLoss(plan, restorabilities(plan));
  assertNothingNeededGoes(plan);
  sayPlan(plan, store, log.named('wal_e.worker.base'));
  return plan;
}

async function goalOf(args: PlannedArguments, findings: Findings, store: Store, call: Call): Promise<Goal> {
  if (args.verb === 'retain') return { kind: 'retain', count: args.count, days: args.retainDays };
  if (args.verb === 'before') return findTarget(args.name, findings.survey.backups, store, call);
  return { kind: 'everything' };
}

async function finish(
  outcome: Outcome,
  report: Report | ObsoleteReport | { readonly dryRun: boolean },
  args: DeleteArguments,
  context: Context,
): Promise<number> {
  const { removed, failed, failures, lost } = outcome;
  const result = report.dryRun ? null : { deleted: removed, failed, failures };
  if (args.json) await context.print(`${JSON.stringify({ ...report, result })}\n`);
  else if (!report.dryRun && (failed > 0 || !isQuiet(report, context)))
    await context.print(formatOutcome(outcome));
  if (failed === 0) return lost.length === 0 ? 0 : 1;
  context.log.critical('Some keys were not deleted', {
    detail: `The store refused ${failed} of ${removed + failed}.`,
    hint: 'Run the same command again.',
  });
  return 1;
}
