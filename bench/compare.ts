/**
 * Comparing two ways to do the same work: in turn, the order changing every round, after one round that does not count.
 * A ratio is taken within a round, where both saw the same weather; printed are medians and the spread of the rounds.
 */
import { fileURLToPath } from 'node:url';
import { Accepted } from './accepted.ts';
import { processorFamily } from './processor.ts';
import type { Cost } from './timing.ts';

export interface Contender {
  readonly name: string;
  /** Does the work once. */
  run(): Promise<Cost> | Cost;
}

export type Measure = 'wall' | 'cpu';

export interface Comparison {
  readonly work: string;
  readonly ours: Contender;
  readonly beside: Contender;
  readonly rounds: number;
  /** `atMost`: of our time to the other's. `atLeast`: of our throughput to the other's. */
  readonly target: { readonly atMost: number } | { readonly atLeast: number };
  /** Which times the target is about; both are printed. */
  readonly measures: readonly Measure[];
  /** Bytes of one run, to print MB/s. */
  readonly bytes?: number;
}

interface Round {
  readonly ours: Cost;
  readonly beside: Cost;
}

/** What makes counts of instructions comparable. */
export const CONDITIONS = `node ${process.version.slice(1).split('.')[0]} ${process.arch}`;
/** And ratios of times; that it is the same machine is for the reader to know. */
const RATIO_CONDITIONS = `${CONDITIONS}, ${processorFamily()}`;

const RATIOS = fileURLToPath(new URL('ratios.json', import.meta.url));
const accepted = new Accepted(RATIOS, process.argv.includes('--update'));
let failures = 0;

export function allReached(): boolean {
  return failures === 0;
}

export function title(text: string): void {
  console.log(`\n${text}`);
  printRow(['work', 'time', 'ours', 'beside', '', 'ratio', 'spread', 'target', 'accepted']);
}

export async function compare(comparison: Comparison): Promise<void> {
  const { ours, beside, rounds } = comparison;
  const taken: Round[] = [];
  for (let round = 0; round <= rounds; round += 1) {
    const first = round % 2 === 0 ? await ours.run() : undefined;
    const other = await beside.run();
    const mine = first ?? (await ours.run());
    if (round > 0) taken.push({ ours: mine, beside: other });
  }
  for (const measure of ['wall', 'cpu'] as const) print(comparison, measure, taken);
}

function print(
  { work, beside, target, measures, bytes }: Comparison,
  measure: Measure,
  rounds: readonly Round[],
): void {
  const time = (cost: Cost) => (measure === 'wall' ? cost.wallMs : cost.cpuMs);
  const faster = 'atLeast' in target;
  const ratios = rounds.map((round) => {
    const ratio = time(round.ours) / time(round.beside);
    return faster ? 1 / ratio : ratio;
  });
  const ratio = median(ratios);
  // A server's processes are not ours to time.
  if (Number.isNaN(ratio)) return;
  const judged = measures.includes(measure);
  const reached = !judged || (faster ? ratio >= target.atLeast : ratio <= target.atMost);
  const line = `${work}, ${measure}`;
  const kept = judged ? accepted.isKept(RATIO_CONDITIONS, line, ratio, faster ? 'more' : 'less') : undefined;
  const shown = (side: keyof Round) => amount(median(rounds.map((round) => time(round[side]))), bytes);
  printRow([
    work,
    measure,
    shown('ours'),
    shown('beside'),
    beside.name,
    ratio.toFixed(2),
    `${Math.min(...ratios).toFixed(2)}-${Math.max(...ratios).toFixed(2)}`,
    judged ? (faster ? `>= ${target.atLeast}` : `<= ${target.atMost}`) : '',
    judged ? (accepted.figure(RATIO_CONDITIONS, line)?.toFixed(2) ?? 'none') : '',
    verdict(reached, kept),
  ]);
}

/** What is wrong, for the last column; the run then fails. `kept`: no worse than what was accepted. */
export function verdict(reached: boolean, kept: boolean | undefined): string {
  if (!reached || kept === false) failures += 1;
  return [reached ? '' : 'MISSED', kept === false ? 'WORSE' : ''].join(' ').trim();
}

/** What is either so or not. */
export function requirement(work: string, value: string, reached: boolean, wanted: string): void {
  printRow([work, '', value, '', '', '', '', wanted, '', verdict(reached, undefined)]);
}

/** A figure that is not a time, such as a size; less is better. */
export function figure(
  work: string,
  value: number,
  atMost: number,
  print = (amount: number) => String(amount),
): void {
  const kept = accepted.isKept(RATIO_CONDITIONS, work, value);
  const before = accepted.figure(RATIO_CONDITIONS, work);
  const shown = before === undefined ? 'none' : print(before);
  printRow([
    work,
    '',
    print(value),
    '',
    '',
    '',
    '',
    `<= ${print(atMost)}`,
    shown,
    verdict(value <= atMost, kept),
  ]);
}

export function megabytes(amount: number): string {
  return `${amount.toFixed(0)} MB`;
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((left, right) => left - right);
  const middle = sorted.length >> 1;
  const upper = sorted[middle] ?? Number.NaN;
  return sorted.length % 2 === 1 ? upper : (upper + (sorted[middle - 1] ?? Number.NaN)) / 2;
}

function amount(ms: number, bytes: number | undefined): string {
  return bytes === undefined ? `${ms.toFixed(1)} ms` : `${(bytes / 1000 / ms).toFixed(0)} MB/s`;
}

const WIDTHS = [46, 5, 10, 10, 16, 6, 12, 9, 9, 12];

export function printRow(cells: readonly string[]): void {
  const padded = cells.map((cell, index) => cell.padEnd(WIDTHS[index] ?? 0));
  console.log(padded.join(' ').trimEnd());
}
