/**
 * Comparing two ways to do the same work: in turn, the order changing every round, after one round that does not count.
 * A ratio is taken within a round, where both saw the same weather; printed are medians and the spread of the rounds.
 */
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

let failures = 0;

export function allReached(): boolean {
  return failures === 0;
}

export function title(text: string): void {
  console.log(`\n${text}`);
  console.log(row(['work', 'time', 'ours', 'beside', '', 'ratio', 'spread', 'target']));
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
  if (!reached) failures += 1;
  const shown = (side: keyof Round) => amount(median(rounds.map((round) => time(round[side]))), bytes);
  console.log(
    row([
      work,
      measure,
      shown('ours'),
      shown('beside'),
      beside.name,
      ratio.toFixed(2),
      `${Math.min(...ratios).toFixed(2)}-${Math.max(...ratios).toFixed(2)}`,
      judged ? (faster ? `>= ${target.atLeast}` : `<= ${target.atMost}`) : '',
      reached ? '' : 'MISSED',
    ]),
  );
}

/** A figure that is not a time, such as a size. */
export function requirement(work: string, value: string, reached: boolean, wanted: string): void {
  if (!reached) failures += 1;
  console.log(row([work, '', value, '', '', '', '', wanted, reached ? '' : 'MISSED']));
}

function median(values: readonly number[]): number {
  const sorted = [...values].sort((left, right) => left - right);
  const middle = sorted.length >> 1;
  const upper = sorted[middle] ?? Number.NaN;
  return sorted.length % 2 === 1 ? upper : (upper + (sorted[middle - 1] ?? Number.NaN)) / 2;
}

function amount(ms: number, bytes: number | undefined): string {
  return bytes === undefined ? `${ms.toFixed(1)} ms` : `${(bytes / 1000 / ms).toFixed(0)} MB/s`;
}

const WIDTHS = [44, 5, 10, 10, 16, 6, 12, 8, 6];

function row(cells: readonly string[]): string {
  return cells
    .map((cell, index) => cell.padEnd(WIDTHS[index] ?? 0))
    .join(' ')
    .trimEnd();
}
