import { spawnSync } from 'node:child_process';
import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { checkKey, decryptIfEncrypted, encrypt, isOpenPgp } from '../../src/crypt/gpg.ts';
import { DataError, SettingError, UserError } from '../../src/errors.ts';
import { createKeyring, GOLDEN_GPG, GOLDEN_KEY, hasGpg, type Keyring } from '../harness/gpg.ts';
import { poll } from '../harness/poll.ts';

const never = new AbortController().signal;
const golden = readFileSync(join(GOLDEN_GPG, 'archive/wal_005/00000001000000000000000A.lzo'));
const LZOP = Uint8Array.of(0x89, 0x4c, 0x5a, 0x4f, 0x00, 0x0d, 0x0a, 0x1a, 0x0a);
const environment = { GNUPGHOME: process.env.GNUPGHOME, PATH: process.env.PATH };

async function* chunks(bytes: Uint8Array, size = 65536) {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

async function all(source: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const parts: Uint8Array[] = [];
  for await (const chunk of source) parts.push(chunk);
  return Buffer.concat(parts);
}

async function errorOf(work: Promise<unknown>): Promise<UserError> {
  const error: unknown = await work.then(
    () => expect.fail('it did not fail'),
    (reason: unknown) => reason,
  );
  if (error instanceof UserError) return error;
  throw error;
}

/** Not compressible and not alike, without a random seed. */
function pattern(length: number): Buffer {
  const bytes = Buffer.alloc(length);
  let state = 1;
  for (let i = 0; i < length; i++) {
    state = (state * 1103515245 + 12345) & 0x7fffffff;
    bytes[i] = state >> 16;
  }
  return bytes;
}

/** No gpg of ours is running: every one was waited for. */
function childrenNamedGpg(): string {
  const { stdout } = spawnSync('ps', ['-o', 'comm=', '--ppid', String(process.pid)], { encoding: 'utf8' });
  return stdout
    .split('\n')
    .filter((name) => name === 'gpg')
    .join();
}

describe.runIf(hasGpg())('gpg', () => {
  let keyring: Keyring;
  let emptyKeyring: Keyring;
  let publicKeyring: Keyring;

  beforeAll(() => {
    keyring = createKeyring('secret');
    emptyKeyring = createKeyring('empty');
    publicKeyring = createKeyring('public');
    process.env.GNUPGHOME = keyring.home;
  });
  afterEach(() => {
    process.env.GNUPGHOME = keyring.home;
    process.env.PATH = environment.PATH;
    expect(childrenNamedGpg()).toBe('');
  });
  afterAll(() => {
    for (const one of [keyring, emptyKeyring, publicKeyring]) one.dispose();
    process.env.GNUPGHOME = environment.GNUPGHOME;
    if (environment.GNUPGHOME === undefined) delete process.env.GNUPGHOME;
  });

  test('what is encrypted is what the original writes: readable by gpg -d, binary, not compressed by gpg', async () => {
    const plain = Buffer.alloc(3_000_000, 7);
    const encrypted = await all(encrypt(chunks(plain), { keyId: GOLDEN_KEY, signal: never }));
    expect(encrypted.length).toBeGreaterThan(plain.length);
    expect(keyring.gpg(['-d'], encrypted).equals(plain)).toBe(true);
  });

  test('what was encrypted is decrypted, whatever the sizes of the chunks', async () => {
    const plain = pattern(300_001);
    const encrypted = await all(encrypt(chunks(plain, 4099), { keyId: GOLDEN_KEY, signal: never }));
    for (const size of [1, 17, 65536, 1 << 20]) {
      const part =
        size === 1
          ? await all(encrypt(chunks(plain.subarray(0, 999)), { keyId: GOLDEN_KEY, signal: never }))
          : encrypted;
      const expected = size === 1 ? plain.subarray(0, 999) : plain;
      expect((await all(decryptIfEncrypted(chunks(part, size), { signal: never }))).equals(expected)).toBe(
        true,
      );
    }
  });

  test('an object of the original is decrypted to an lzop file', async () => {
    const plain = await all(decryptIfEncrypted(chunks(golden), { signal: never }));
    expect(plain.subarray(0, 9).equals(LZOP)).toBe(true);
    expect(plain.equals(keyring.gpg(['-d'], golden))).toBe(true);
  });

  test('an object that is not encrypted passes unchanged, without gpg', async () => {
    process.env.PATH = '/nowhere';
    for (const bytes of [Buffer.concat([LZOP, pattern(100_000)]), Buffer.from('short'), Buffer.alloc(0)]) {
      expect((await all(decryptIfEncrypted(chunks(bytes, 3), { signal: never }))).equals(bytes)).toBe(true);
    }
  });

  test('a source may use the memory of a chunk again when it is asked for the next', async () => {
    async function* reusing(bytes: Uint8Array, size: number) {
      const memory = Buffer.alloc(size);
      for await (const chunk of chunks(bytes, size)) {
        memory.set(chunk);
        yield memory.subarray(0, chunk.length);
        memory.fill(0xff);
      }
    }
    const plain = Buffer.concat([LZOP, pattern(1000)]);
    for (const [object, size] of [
      [plain, 1],
      [plain, 20],
      [plain, 500],
      [keyring.gpg(['-e', '-r', GOLDEN_KEY], plain), 5],
      [keyring.gpg(['-e', '-r', GOLDEN_KEY], plain), 100],
    ] as const) {
      const parts: Buffer[] = [];
      for await (const chunk of decryptIfEncrypted(reusing(object, size), { signal: never }))
        parts.push(Buffer.from(chunk));
      expect(Buffer.concat(parts).equals(plain), `${size}`).toBe(true);
    }
  });

  test('an ASCII-armored message is decrypted too', async () => {
    const armored = keyring.gpg(['-e', '-a', '-r', GOLDEN_KEY], 'as text');
    expect((await all(decryptIfEncrypted(chunks(armored), { signal: never }))).toString()).toBe('as text');
  });

  test('several at once do not disturb one another', async () => {
    const plains = Array.from({ length: 8 }, (_, index) => pattern(200_000 + index));
    const backs = plains.map((plain) =>
      all(
        decryptIfEncrypted(encrypt(chunks(plain), { keyId: GOLDEN_KEY, signal: never }), { signal: never }),
      ),
    );
    for (const [index, back] of (await Promise.all(backs)).entries()) {
      expect(plains[index]?.equals(back)).toBe(true);
    }
  });

  test('a reader that does not read holds the source back', async () => {
    let given = 0;
    async function* endless() {
      for (;;) {
        given += 65536;
        yield Buffer.alloc(65536);
      }
    }
    const encrypted = encrypt(endless(), { keyId: GOLDEN_KEY, signal: never });
    await encrypted.next();
    let before = -1;
    while (before !== given) {
      before = given;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    expect(given).toBeLessThan(4_000_000);
    await encrypted.return(undefined);
  });

  test("an unknown key is an error with gpg's own words, not a hang", async () => {
    const work = all(encrypt(chunks(pattern(5_000_000)), { keyId: 'nobody@example.invalid', signal: never }));
    const error = await errorOf(work);
    expect(error.message).toBe('gpg could not encrypt');
    expect(error.detail).toContain('nobody@example.invalid');
    expect(error.hint).toContain('gpg --list-keys nobody@example.invalid');
  });

  test('a gpg that dies at once is an error even while the source gives nothing', async () => {
    let release = () => {};
    async function* stuck() {
      await new Promise<void>((resolve) => {
        release = resolve;
      });
      yield Uint8Array.of(1);
    }
    const error = await errorOf(all(encrypt(stuck(), { keyId: 'nobody@example.invalid', signal: never })));
    expect(error.message).toBe('gpg could not encrypt');
    release();
  });

  test('a gpg that reads a little and dies by a signal is an error', async () => {
    const directory = fakeGpg('head -c 1000 >/dev/null; kill -9 $$');
    const error = await errorOf(all(encrypt(chunks(pattern(5_000_000)), { keyId: 'x', signal: never })));
    expect(error.message).toBe('gpg was killed');
    expect(error.detail).toContain('gpg was ended by SIGKILL');
    rmSync(directory, { recursive: true });
  });

  test('a gpg that is killed when it has the key is not taken for a damaged object', async () => {
    const directory = fakeGpg("head -c 1000; echo '[GNUPG:] DECRYPTION_KEY 4A52 DF1F u' >&3; kill -9 $$");
    const error = await errorOf(all(decryptIfEncrypted(chunks(golden), { signal: never })));
    expect(error).not.toBeInstanceOf(DataError);
    expect(error.message).toBe('gpg was killed');
    rmSync(directory, { recursive: true });
  });

  test('a gpg that a signal to the whole group reached first is no error of its own', async () => {
    const directory = fakeGpg('echo $$ > "$0.pid"; exec >&-; kill -TERM $$');
    const controller = new AbortController();
    const work = errorOf(all(encrypt(chunks(pattern(5_000_000)), { keyId: 'x', signal: controller.signal })));
    const pid = await poll(
      'gpg',
      () => Number(existsSync(pidFile(directory)) && readFileSync(pidFile(directory), 'utf8')) || undefined,
    );
    while (isAlive(pid)) await new Promise((resolve) => setImmediate(resolve));
    controller.abort(new UserError('interrupted by SIGTERM'));
    expect((await work).message).toBe('interrupted by SIGTERM');
    rmSync(directory, { recursive: true });
  });

  test('a gpg that exits with 0 without reading everything is an error', async () => {
    const directory = fakeGpg('head -c 1000; exit 0');
    const error = await errorOf(all(encrypt(chunks(pattern(5_000_000)), { keyId: 'x', signal: never })));
    expect(error.detail).toBe('gpg did not read its whole input');
    rmSync(directory, { recursive: true });
  });

  test('a gpg that floods standard error neither blocks nor fills the memory', async () => {
    const directory = fakeGpg('cat >/dev/null; head -c 3000000 /dev/zero | tr "\\\\0" x >&2; exit 2');
    const error = await errorOf(all(encrypt(chunks(pattern(1000)), { keyId: 'x', signal: never })));
    expect(error.detail).toMatch(/^x{8192}$/);
    rmSync(directory, { recursive: true });
  });

  test('a source that fails is the error, and the output does not end as if it were whole', async () => {
    async function* failing() {
      yield pattern(100_000);
      throw new Error('the disk is gone');
    }
    await expect(all(encrypt(failing(), { keyId: GOLDEN_KEY, signal: never }))).rejects.toThrow(
      'the disk is gone',
    );
  });

  test('an abort kills gpg and is the error', async () => {
    const controller = new AbortController();
    const reason = new UserError('interrupted');
    async function* slow() {
      yield Uint8Array.of(1);
      controller.abort(reason);
      await new Promise(() => {});
    }
    await expect(all(encrypt(slow(), { keyId: GOLDEN_KEY, signal: controller.signal }))).rejects.toBe(reason);
  });

  test('an abort ends a gpg that ignores being asked', async () => {
    const directory = fakeGpg('trap "" TERM; while :; do sleep 0.1; done');
    const controller = new AbortController();
    const work = all(encrypt(chunks(pattern(10)), { keyId: 'x', signal: controller.signal }));
    setTimeout(() => controller.abort(new UserError('interrupted')), 100);
    expect((await errorOf(work)).message).toBe('interrupted');
    rmSync(directory, { recursive: true });
  });

  test('a reader that leaves early ends gpg and closes the source', async () => {
    let closed = false;
    async function* endless() {
      try {
        for (;;) yield pattern(65536);
      } finally {
        closed = true;
      }
    }
    for await (const _ of encrypt(endless(), { keyId: GOLDEN_KEY, signal: never })) break;
    expect(closed).toBe(true);
  });

  test('a damaged message is a DataError, a cut one too', async () => {
    const damaged = Buffer.from(golden);
    damaged[damaged.length - 3000] = (damaged[damaged.length - 3000] ?? 0) ^ 1;
    for (const bytes of [damaged, golden.subarray(0, golden.length - 100)]) {
      const error = await errorOf(all(decryptIfEncrypted(chunks(bytes), { signal: never })));
      expect(error).toBeInstanceOf(DataError);
      expect(error.message).toBe('the encrypted object is damaged');
    }
  });

  test('a missing secret key is not taken for damage', async () => {
    for (const ring of [emptyKeyring, publicKeyring]) {
      process.env.GNUPGHOME = ring.home;
      const error = await errorOf(all(decryptIfEncrypted(chunks(golden), { signal: never })));
      expect(error).not.toBeInstanceOf(DataError);
      expect(error.message).toBe('gpg could not decrypt');
      expect(error.detail).toMatch(/[Nn]o secret key/);
      expect(error.hint).toContain('gpg --list-secret-keys');
    }
  });

  test('checkKey accepts a key that encrypts, and needs no secret key for it', async () => {
    await checkKey(GOLDEN_KEY, never);
    process.env.GNUPGHOME = publicKeyring.home;
    await checkKey('golden@example.invalid', never);
  });

  test('checkKey refuses a key that is not there, and one that is not trusted', async () => {
    const untrusted = createKeyring('empty');
    try {
      process.env.GNUPGHOME = untrusted.home;
      const absent = await errorOf(checkKey(GOLDEN_KEY, never));
      expect(absent).toBeInstanceOf(SettingError);
      expect(absent.message).toBe('the GPG key cannot be used for encryption');
      untrusted.gpg(['--import', join(GOLDEN_GPG, 'public-key.asc')]);
      expect((await errorOf(checkKey(GOLDEN_KEY, never))).detail).toMatch(/no assurance/);
    } finally {
      untrusted.dispose();
    }
  });

  test("a missing gpg is said in the original's words, and the source is closed", async () => {
    process.env.PATH = '/nowhere';
    const missing = await errorOf(checkKey(GOLDEN_KEY, never));
    expect(missing.message).toBe('could not run one or more external programs WAL-E depends upon');
    expect(missing.detail).toBe('Could not run the following programs, are they installed? gpg');
    let closed = false;
    const source = {
      sent: false,
      [Symbol.asyncIterator]() {
        return this;
      },
      async next() {
        const done = this.sent;
        this.sent = true;
        return done ? { done: true as const, value: undefined } : { done: false as const, value: golden };
      },
      async return() {
        closed = true;
        return { done: true as const, value: undefined };
      },
    };
    await errorOf(all(decryptIfEncrypted(source, { signal: never })));
    expect(closed).toBe(true);
  });
});

test('OpenPGP messages are told from lzop files and other bytes by their first packet', () => {
  expect(isOpenPgp(golden)).toBe(true);
  expect(isOpenPgp(Uint8Array.of(0xc1, 0x4c))).toBe(true);
  expect(isOpenPgp(Uint8Array.of(0x8c, 0x0d))).toBe(true);
  expect(isOpenPgp(Buffer.from('-----BEGIN PGP MESSAGE-----'))).toBe(true);
  for (const other of [
    LZOP,
    new Uint8Array(),
    Buffer.from('<?xml'),
    Buffer.from('{"a"'),
    Uint8Array.of(0x1f, 0x8b),
  ]) {
    expect(isOpenPgp(other)).toBe(false);
  }
});

const pidFile = (directory: string) => join(directory, 'gpg.pid');

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

function fakeGpg(script: string): string {
  const directory = mkdtempSync(join(tmpdir(), 'wale-fake-gpg-'));
  writeFileSync(join(directory, 'gpg'), `#!/bin/sh\n${script}\n`);
  chmodSync(join(directory, 'gpg'), 0o755);
  process.env.PATH = `${directory}:${environment.PATH}`;
  return directory;
}
