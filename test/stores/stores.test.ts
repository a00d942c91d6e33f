/** The S3 store on production stores: `npm run test:stores`. What cannot be had on this machine is skipped, and said. */
import { execFile } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, describe, expect, it } from 'vitest';
import { walKey } from '../../src/archive/layout.ts';
import { readS3Settings } from '../../src/settings/s3.ts';
import type { Environment } from '../../src/settings/settings.ts';
import { createRetry } from '../../src/store/retrying.ts';
import { createS3Store } from '../../src/store/s3/store.ts';
import type { Store } from '../../src/store/store.ts';
import { permissionsContract } from '../contract/permissions.ts';
import { contents, storeContract } from '../contract/store.ts';
import { createPrimary, LOG_TO_SERVER, load, switchSegment, untilArchived } from '../harness/archiving.ts';
import { seededBytes } from '../harness/random.ts';
import { createFaultProxy } from '../harness/s3/fault-proxy.ts';
import { createScratch } from '../harness/scratch.ts';
import { NEWEST_POSTGRES, stageProgram } from '../harness/staging.ts';
import { quotaContract } from './quota.ts';
import { createBucket, putUserPolicy } from './rados-accounts.ts';
import { startStore } from './start.ts';
import { versionsContract } from './versions.ts';

const run = promisify(execFile);
const call = { signal: new AbortController().signal };
const createOnly = { ...call, createOnly: true, contentType: 'application/octet-stream' } as const;

for (const name of ['radosgw', 'swift'] as const) {
  const started = await startStore(name);
  const environment: Environment = started?.environment ?? {};

  const open = (changes: Environment = {}, attempts = 5): Store =>
    createS3Store({
      settings: readS3Settings(
        `s3://${changes.BUCKET ?? 'wale-test'}/${randomUUID()}`,
        { ...environment, ...changes },
        {},
      ),
      retry: createRetry({ attempts, firstDelayMs: 50 }),
    });

  describe.skipIf(started === undefined)(name, () => {
    afterAll(() => started?.stop());

    storeContract(name, async () => {
      const store = open();
      return { store, close: () => store.close() };
    });

    quotaContract(environment, async (bytes) => started?.setQuota(bytes));

    if (name === 'radosgw') {
      const admin = {
        url: (environment.WALE_S3_ENDPOINT ?? '').replace('+path', ''),
        accessKeyId: environment.AWS_ACCESS_KEY_ID ?? '',
        secretAccessKey: environment.AWS_SECRET_ACCESS_KEY ?? '',
      };
      versionsContract(admin, environment);
      permissionsContract(name, { conditions: false }, async () => {
        await createBucket(admin, 'my-bucket');
        return {
          environment: {
            WALE_S3_ENDPOINT: environment.WALE_S3_ENDPOINT ?? '',
            AWS_REGION: 'us-east-1',
            AWS_ACCESS_KEY_ID: environment.LIMITED_ACCESS_KEY_ID ?? '',
            AWS_SECRET_ACCESS_KEY: admin.secretAccessKey,
          },
          give: (policy) => putUserPolicy(admin, 'limited', policy),
          close: async () => undefined,
        };
      });
    }

    it('refuses a payload that was changed on its way, in one put and in a part', async () => {
      const endpoint = (environment.WALE_S3_ENDPOINT ?? '').replace('+path', '');
      const proxy = await createFaultProxy(endpoint, ({ method, body }) =>
        method === 'PUT' && body.length > 0 ? { kind: 'alter-up', at: 1000 } : undefined,
      );
      const store = open({ WALE_S3_ENDPOINT: proxy.url }, 2);
      const bytes = seededBytes(9 * 1024 * 1024, 3);
      await expect(store.put(walKey('a'), [bytes], createOnly)).rejects.toThrow();
      await expect(store.put(walKey('b'), streamOf(bytes), createOnly)).rejects.toThrow();
      expect(proxy.done.faults).toBeGreaterThan(1);
      proxy.plan = () => undefined;
      expect(await store.head(walKey('a'), call)).toBeUndefined();
      expect(await store.head(walKey('b'), call)).toBeUndefined();
      for await (const page of store.leftovers('', call)) expect(page).toEqual([]);
      await store.close();
      await proxy.close();
    });

    it('makes the ETag of an object in parts from those of the parts: only if it does not fit is it read back', async () => {
      const asked: string[] = [];
      const endpoint = (environment.WALE_S3_ENDPOINT ?? '').replace('+path', '');
      const proxy = await createFaultProxy(endpoint, ({ method }) => {
        asked.push(method);
        return undefined;
      });
      const store = open({ WALE_S3_ENDPOINT: proxy.url });
      const put = async () => {
        asked.length = 0;
        const body = streamOf(seededBytes(12 * 1024 * 1024, 4));
        expect(await store.put(walKey('a'), body, { ...createOnly, createOnly: false })).toBe('stored');
        return asked;
      };
      const inParts = ['POST', 'PUT', 'PUT', 'PUT', 'POST', 'HEAD'];
      expect(await put()).toEqual(inParts);
      const plain = proxy.plan;
      const wrong = { kind: 'header', name: 'etag', value: `"${'0'.repeat(32)}-3"` } as const;
      proxy.plan = (request, number) =>
        plain(request, number) ?? (request.method === 'HEAD' ? wrong : undefined);
      // Every time, since the first has fitted.
      for (const _ of [1, 2]) expect(await put()).toEqual([...inParts, 'GET']);
      await store.close();
      await proxy.close();
    });

    it('says of an object in parts which upload it came from: our own is removed when it is not what was sent', async () => {
      const endpoint = (environment.WALE_S3_ENDPOINT ?? '').replace('+path', '');
      const proxy = await createFaultProxy(endpoint, ({ method }) =>
        method === 'HEAD' ? { kind: 'header', name: 'content-length', value: '17' } : undefined,
      );
      const store = open({ WALE_S3_ENDPOINT: proxy.url });
      const body = streamOf(seededBytes(9 * 1024 * 1024, 5));
      await expect(store.put(walKey('a'), body, { ...createOnly, createOnly: false })).rejects.toThrow(
        'the store has not kept what was sent',
      );
      proxy.plan = () => undefined;
      expect(await store.head(walKey('a'), call)).toBeUndefined();
      await store.close();
      await proxy.close();
    });

    it('gives an object once to several who put it one after the other', async () => {
      const store = open();
      const results = [];
      for (let i = 0; i < 4; i += 1) {
        results.push(await store.put(walKey('a'), [Buffer.from(`writer ${i}`)], createOnly));
      }
      expect(results).toEqual(['stored', 'exists', 'exists', 'exists']);
      expect((await contents(await store.get(walKey('a'), call))).toString()).toBe('writer 0');
      await store.close();
    });

    it.each([
      [{ AWS_SECRET_ACCESS_KEY: 'wrong' }, 'the store rejects the credentials', 'AWS_'],
      [{ BUCKET: 'no-such-bucket' }, 'the bucket does not exist', 'WALE_S3_PREFIX'],
    ])('says what is wrong: %s', async (changes, message, hint) => {
      const store = open(changes);
      for (const failing of [
        () => store.get(walKey('a'), call),
        () => store.head(walKey('a'), call),
        () => store.put(walKey('a'), [Buffer.from('x')], createOnly),
      ]) {
        await expect(failing()).rejects.toMatchObject({ message, hint: expect.stringContaining(hint) });
      }
      await store.close();
    });

    it('follows the region that it expects', async () => {
      const store = open({ AWS_REGION: 'eu-central-1' });
      expect(await store.put(walKey('a'), [Buffer.from('x')], createOnly)).toBe('stored');
      await store.close();
    });

    it('takes the WAL of a PostgreSQL server and gives it back', async () => {
      const prefix = `s3://wale-test/${randomUUID()}`;
      const command = (words: string) => `${stageProgram()} --s3-prefix=${prefix} ${words}`;
      const primary = await createPrimary({
        version: NEWEST_POSTGRES,
        archive: { command },
        settings: { wal_keep_size: '1GB' },
      });
      try {
        await primary.start({ environment: { ...LOG_TO_SERVER, ...environment } as Record<string, string> });
        const names = [];
        for (let round = 1; round <= 3; round += 1) {
          await load(primary, round, 4);
          names.push(await switchSegment(primary));
        }
        for (const segment of names) {
          await untilArchived(primary, segment);
          const target = join(createScratch(), segment);
          const env = { ...process.env, ...LOG_TO_SERVER, ...environment, WALE_S3_PREFIX: prefix };
          await run(stageProgram(), ['wal-fetch', '-p', '0', segment, target], { env });
          const original = await readFile(join(primary.walDirectory, segment));
          expect((await readFile(target)).equals(original)).toBe(true);
        }
        // What the first segment has shown, for all others.
        const note = await readFile(join(primary.walDirectory, '.wal-e', 'conditional-put'), 'utf8');
        expect(note.split(' ')[0]).toBe(name === 'radosgw' ? 'honours' : 'refuses');
      } finally {
        await primary.dispose();
      }
    });
  });
}

async function* streamOf(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  for (let i = 0; i < bytes.byteLength; i += 1_000_000) yield bytes.subarray(i, i + 1_000_000);
}
