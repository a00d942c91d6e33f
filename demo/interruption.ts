/** Ctrl-C and its like: the demonstration ends at its next step and cleans up all the same; a second one ends it at once. */
import { note } from './narrator.ts';

const STATUS = { SIGINT: 130, SIGTERM: 143, SIGHUP: 129 } as const;

export class Interruption extends Error {
  readonly status: number;

  constructor(name: keyof typeof STATUS) {
    super(`interrupted by ${name}`);
    this.status = STATUS[name];
  }
}

export function watchInterruption(): AbortSignal {
  const controller = new AbortController();
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.on(name, () => {
      const reason = new Interruption(name);
      if (controller.signal.aborted) process.exit(reason.status);
      note(`${name}: stopping. Once more ends it at once, and leaves in an S3 store what is there.`);
      controller.abort(reason);
    });
  }
  return controller.signal;
}
