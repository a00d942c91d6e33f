/**
 * Written files on their way to the disk: each is synced and closed in the background, several at once so that the
 * file system can commit them together, and never more open than a process may have.
 */
import { close, fsync } from 'node:fs';

const MAX_OPEN = 48;
const RESUME_OPEN = 16;

export class SyncQueue {
  #open = 0;
  #failure: NodeJS.ErrnoException | undefined;
  #wake: (() => void) | undefined;

  /** Takes over the descriptor. */
  add(descriptor: number): void {
    this.#open += 1;
    fsync(descriptor, (syncError) => {
      close(descriptor, (closeError) => {
        this.#open -= 1;
        this.#failure ??= syncError ?? closeError ?? undefined;
        this.#wake?.();
      });
    });
  }

  /** undefined while there is room; otherwise resolves when there is. Rejects when a file could not be synced. */
  throttle(): Promise<void> | undefined {
    if (this.#failure === undefined && this.#open < MAX_OPEN) return undefined;
    return this.#until(RESUME_OPEN);
  }

  /** Resolves when every file is durable. */
  drain(): Promise<void> {
    return this.#until(0);
  }

  async #until(open: number): Promise<void> {
    while (this.#open > open) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
    if (this.#failure !== undefined) throw this.#failure;
  }
}
