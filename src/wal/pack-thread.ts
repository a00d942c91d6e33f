/** The other side of pack.worker.ts: orders to one thread, answered in their order. */
import { Worker } from 'node:worker_threads';
import { UserError } from '../errors.ts';
import { programFile } from '../program.ts';
import { buffersOf, type PackAnswer, type PackOrder } from './pack-message.ts';
import type { WalFile } from './wal-file.ts';

interface Waiting {
  readonly resolve: (answer: PackAnswer) => void;
  readonly reject: (error: unknown) => void;
}

/** Works off its orders one after the other. */
export class PackThread {
  readonly #worker = new Worker(programFile('pack.worker.cjs'));
  readonly #waiting: Waiting[] = [];
  #failure: { readonly error: unknown } | undefined;

  constructor() {
    this.#worker.on('message', (answer: PackAnswer) => this.#waiting.shift()?.resolve(answer));
    this.#worker.on('error', (error) => this.#fail(error));
    this.#worker.on('exit', () => this.#fail(new Error('the thread that packs ended')));
  }

  /** Throws what `packInto` throws. */
  async pack(file: WalFile, slabs: readonly Uint8Array[]): Promise<PackAnswer> {
    // A thread that ended answers no more.
    if (this.#failure !== undefined) throw this.#failure.error;
    const order: PackOrder = { file, slabs };
    const answer = await new Promise<PackAnswer>((resolve, reject) => {
      this.#waiting.push({ resolve, reject });
      this.#worker.postMessage(order, buffersOf(slabs));
    });
    if (answer.failure !== undefined) throw new UserError(answer.failure.message, answer.failure);
    return answer;
  }

  async close(): Promise<void> {
    await this.#worker.terminate();
  }

  #fail(error: unknown): void {
    this.#failure ??= { error };
    for (const { reject } of this.#waiting.splice(0)) reject(error);
  }
}
