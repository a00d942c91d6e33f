/** The other side of pack.worker.ts: orders to one thread, answered in their order. */
import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import { UserError } from '../errors.ts';
import { programFile } from '../program.ts';
import type { WalFile } from './wal-file.ts';

export interface PackOrder {
  readonly file: WalFile;
  /** Moves to the thread and back. */
  readonly target: ArrayBuffer;
}

export type PackAnswer =
  | { readonly target: ArrayBuffer; readonly length: number }
  | {
      readonly target: ArrayBuffer;
      readonly failure: {
        readonly message: string;
        readonly detail?: string | undefined;
        readonly hint?: string | undefined;
      };
    };

/** Compresses one file at a time. */
export class PackThread {
  readonly #worker = new Worker(programFile('pack.worker.cjs'));

  constructor() {
    // Its failure is reported by the order that waits for it; without one it does not matter.
    this.#worker.on('error', () => {});
  }

  /** Returns the filled buffer, perhaps another object than `target`, and the length in it. Throws what `packInto` throws. */
  async pack(file: WalFile, target: ArrayBuffer): Promise<{ target: ArrayBuffer; length: number }> {
    const order: PackOrder = { file, target };
    this.#worker.postMessage(order, [target]);
    const [answer] = (await once(this.#worker, 'message')) as [PackAnswer];
    if ('failure' in answer) throw new UserError(answer.failure.message, answer.failure);
    return answer;
  }

  async close(): Promise<void> {
    await this.#worker.terminate();
  }
}
