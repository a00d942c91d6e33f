/** `wal-e check`: can this machine archive and restore? One finding a line, as it is made; the exit status is for monitoring. */
import { runChecks } from '../check/checks.ts';
import type { Finding } from '../check/finding.ts';
import type { Context } from './context.ts';

export interface CheckArguments {
  readonly json: boolean;
  /** Hours. */
  readonly maxBackupAge: number;
  /** For a machine that only restores: no server is asked. */
  readonly withoutPostgres: boolean;
}

/** The statuses that Nagios and its descendants give the states. */
const STATUS = { ok: 0, warning: 1, failed: 2 } as const;

export async function run(args: CheckArguments, context: Context): Promise<number> {
  const findings: Finding[] = [];
  for await (const finding of runChecks(args, context)) {
    findings.push(finding);
    if (!args.json) await context.print(formatFinding(finding));
  }
  const state = worst(findings);
  if (args.json) await context.print(`${JSON.stringify({ state, findings })}\n`);
  return STATUS[state];
}

function worst(findings: readonly Finding[]): Finding['state'] {
  if (findings.some(({ state }) => state === 'failed')) return 'failed';
  return findings.some(({ state }) => state === 'warning') ? 'warning' : 'ok';
}

/** `failed   archive_mode       off: nothing is archived`, the remedy on a line of its own. */
function formatFinding({ name, state, message, remedy }: Finding): string {
  const line = `${state.padEnd(8)} ${name.padEnd(18)} ${message}\n`;
  return remedy === undefined ? line : `${line}${' '.repeat(9)}remedy: ${remedy}\n`;
}
