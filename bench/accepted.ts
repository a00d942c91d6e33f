/**
 * Figures that were accepted, in JSON files beside the benchmarks, one line for each work: what is more than a tenth
 * worse than that has become worse, whether or not a target is reached. `--update` accepts what was measured.
 */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';

/** Noise of a quiet machine is well below it. */
const TOLERANCE = 0.1;

type Figures = Record<string, Record<string, number>>;

export class Accepted {
  readonly #path: string;
  readonly #figures: Figures;
  readonly #updates: boolean;

  /** `updates`: what is compared from now on is accepted. */
  constructor(path: string, updates: boolean) {
    this.#path = path;
    this.#figures = existsSync(this.#path) ? JSON.parse(readFileSync(this.#path, 'utf8')) : {};
    this.#updates = updates;
  }

  /** The accepted figure of a work, under conditions that make figures comparable; undefined: there is none yet. */
  figure(conditions: string, work: string): number | undefined {
    return this.#figures[conditions]?.[work];
  }

  /** Whether `figure` is no more than a tenth worse than the accepted one. Accepts it when that was asked for. */
  isKept(
    conditions: string,
    work: string,
    figure: number,
    better: 'less' | 'more' = 'less',
  ): boolean | undefined {
    if (this.#updates) {
      this.#figures[conditions] = { ...this.#figures[conditions], [work]: Number(figure.toPrecision(4)) };
      writeFileSync(this.#path, `${JSON.stringify(this.#figures, null, 2)}\n`);
    }
    const accepted = this.figure(conditions, work);
    if (accepted === undefined) return undefined;
    return better === 'less' ? figure <= accepted * (1 + TOLERANCE) : figure >= accepted / (1 + TOLERANCE);
  }
}
