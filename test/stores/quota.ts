/** What wal-e says and does when a real quota is used up. */
import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import { afterEach, expect, it } from 'vitest';
import { walKey } from '../../src/archive/layout.ts';
import { readS3Settings } from '../../src/settings/s3.ts';
import type { Environment } from '../../src/settings/settings.ts';
import { createRetry } from '../../src/store/retrying.ts';
import { createS3Store } from '../../src/store/s3/store.ts';
import { logEntries, runProgram } from '../harness/program.ts';
import { seededBytes } from '../harness/random.ts';
import { createScratch } from '../harness/scratch.ts';
import { segmentBytes } from '../harness/segment.ts';
import { addWaiting } from '../harness/waiting.ts';

const call = { signal: new AbortController().signal };
const MB = 1024 * 1024;
const SEGMENT = '000000010000000000000001';
const NEIGHBOUR = '000000010000000000000002';
/** Less than one object takes, whatever is there already. */
const TOO_LITTLE = 100_000;
const NO_LIMIT = -1;

export function quotaContract(environment: Environment, setQuota: (bytes: number) => Promise<void>): void {
  const prefix = `s3://wale-test/${randomUUID()}`;
  const open = () =>
    createS3Store({
      settings: readS3Settings(prefix, environment, {}),
      retry: createRetry({ attempts: 5, firstDelayMs: 50 }),
    });
  const keys = async () => {
    const store = open();
    const found: string[] = [];
    for await (const page of store.list('', call)) found.push(...page.map(({ key }) => key));
    for await (const page of store.leftovers('', call)) found.push(...page.map(({ id }) => id));
    await store.close();
    return found;
  };

  afterEach(() => setQuota(NO_LIMIT));

  it('fails at once where a quota is used up, with the word, and goes on when it is raised', async () => {
    const pgWal = join(createScratch(), 'pg_wal');
    for (const [index, name] of [SEGMENT, NEIGHBOUR].entries())
      addWaiting(pgWal, name, segmentBytes(name, MB, index));
    const given = Object.entries(environment).flatMap(([name, value]) =>
      value === undefined ? [] : [[name, value]],
    );
    const push = (name: string) =>
      runProgram(['wal-push', join(pgWal, name)], {
        environment: { ...Object.fromEntries(given), WALE_S3_PREFIX: prefix },
      });
    await setQuota(TOO_LITTLE);
    const { status, stderr } = await push(SEGMENT);
    expect(status, stderr).toBe(1);
    const failure = logEntries(stderr).find(({ level }) => level === 'ERROR');
    expect(failure?.message, stderr).toBe('the store is full');
    expect(failure?.detail).toMatch(/403 QuotaExceeded|400 EntityTooLarge "Upload exceeds quota."/);
    expect(failure?.hint).toContain('Nothing is lost');
    expect(stderr).not.toContain('trying again');
    expect(await keys()).toEqual([]);
    await setQuota(NO_LIMIT);
    expect((await push(SEGMENT)).status).toBe(0);
    await setQuota(TOO_LITTLE);
    const again = await push(SEGMENT);
    expect(again.stderr).toContain('MSG: the file was archived before');
    expect(again.status).toBe(0);
  });

  it('leaves nothing of an upload in parts that a quota ends', async () => {
    const before = await keys();
    await setQuota(TOO_LITTLE);
    const store = open();
    const body = async function* () {
      for (let part = 0; part < 4; part += 1) yield seededBytes(3 * MB, part);
    };
    const options = { ...call, createOnly: true, contentType: 'application/octet-stream' } as const;
    await expect(store.put(walKey(`${SEGMENT}.00000028.backup`), body(), options)).rejects.toMatchObject({
      message: 'the store is full',
      full: true,
      transient: false,
    });
    await store.close();
    expect(await keys()).toEqual(before);
  });
}
