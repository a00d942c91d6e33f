/** What main hands to a command, for tests that call `run` themselves: log records and output are kept. */
import type { Context } from '../../src/commands/context.ts';
import { createLog, type LogRecord } from '../../src/log.ts';
import type { Environment, GlobalOptions } from '../../src/settings/settings.ts';
import type { Store } from '../../src/store/store.ts';

export interface TestContext extends Context {
  readonly records: LogRecord[];
  readonly printed: string[];
  /** How often the store was opened. */
  opened(): number;
}

export interface TestContextOptions {
  readonly store: Store;
  readonly environment?: Environment;
  readonly options?: GlobalOptions;
  readonly signal?: AbortSignal;
}

/** The storage prefix is the store's address unless the environment says otherwise. */
export function testContext({ store, environment, options, signal }: TestContextOptions): TestContext {
  const records: LogRecord[] = [];
  const printed: string[] = [];
  let opened = 0;
  return {
    settings: {
      environment: { WALE_FILE_PREFIX: store.url, PATH: '/usr/bin:/bin', ...environment },
      options: options ?? {},
    },
    log: createLog({
      sinks: [{ write: (record) => records.push(record) }],
      terse: false,
      pid: process.pid,
      now: () => new Date(),
    }),
    signal: signal ?? new AbortController().signal,
    async openStore() {
      opened += 1;
      return store;
    },
    async print(text) {
      printed.push(text);
    },
    records,
    printed,
    opened: () => opened,
  };
}
