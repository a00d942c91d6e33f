/** A store of ours on a test server, with settings as an operator would give them and pauses that suit tests. */
import type { LookupFunction } from 'node:net';
import { readS3Settings } from '../../../src/settings/s3.ts';
import type { Environment } from '../../../src/settings/settings.ts';
import { type Attempt, createRetry } from '../../../src/store/retrying.ts';
import { createS3Store } from '../../../src/store/s3/store.ts';
import type { Timeouts } from '../../../src/store/s3/transport.ts';
import type { Store } from '../../../src/store/store.ts';
import { type S3Server, TEST_ACCOUNT, TEST_BUCKET } from './server.ts';

export interface TestStoreOptions {
  readonly environment?: Environment;
  readonly prefix?: string;
  readonly attempts?: number;
  readonly deadlineMs?: number;
  readonly timeouts?: Timeouts;
  readonly lookup?: LookupFunction;
  readonly onRetry?: (attempt: Attempt) => void;
  readonly notesFolder?: string;
}

/** `url` is the server's, or that of a proxy in front of it. */
export function openTestStore(url: string, options: TestStoreOptions = {}): Store {
  const {
    prefix = 'some/prefix',
    attempts = 6,
    deadlineMs,
    timeouts,
    lookup,
    onRetry,
    notesFolder,
  } = options;
  const environment = { ...testEnvironment(url), ...options.environment };
  return createS3Store({
    settings: readS3Settings(`s3://${TEST_BUCKET}/${prefix}`, environment, {}),
    retry: createRetry({
      attempts,
      deadlineMs,
      firstDelayMs: 5,
      maxDelayMs: 50,
      ...(onRetry && { onRetry }),
    }),
    ...(timeouts && { timeouts }),
    ...(lookup && { lookup }),
    notesFolder,
  });
}

/** What an operator sets for the store behind `url`. */
export function testEnvironment(
  url: string,
  account: S3Server['account'] = TEST_ACCOUNT,
): Record<string, string> {
  return {
    AWS_ACCESS_KEY_ID: account.accessKeyId,
    AWS_SECRET_ACCESS_KEY: account.secretAccessKey,
    WALE_S3_ENDPOINT: url.replace('://', '+path://'),
  };
}
