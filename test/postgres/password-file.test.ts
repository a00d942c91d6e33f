import { chmodSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { findPassword, readPassword } from '../../src/postgres/password-file.ts';
import { createScratch } from '../harness/scratch.ts';

const login = {
  hosts: ['/var/run/postgresql', 'localhost'],
  port: 5432,
  database: 'postgres',
  user: 'backup',
};

describe('the password file', () => {
  it.each([
    ['localhost:5432:postgres:backup:secret', 'secret'],
    ['/var/run/postgresql:5432:postgres:backup:secret', 'secret'],
    ['*:*:*:*:any', 'any'],
    ['*:*:*:other:no\n*:*:*:backup:yes', 'yes'],
    ['# *:*:*:*:comment\n\n*:*:*:backup:first\n*:*:*:backup:second', 'first'],
    ['*:*:*:backup:with\\:colon\\\\and backslash', 'with:colon\\and backslash'],
    ['*:*:*:backup:a:b', 'a:b'],
    ['*:*:*:back\\up:x', 'x'],
    ['*:*:*:backup:crlf\r\n', 'crlf'],
    ['localhost:5433:postgres:backup:secret', undefined],
    ['elsewhere:5432:postgres:backup:secret', undefined],
    ['*:*:*:backup', undefined],
    ['', undefined],
  ])('%j holds %j', (text, password) => {
    expect(findPassword(text, login)).toBe(password);
  });

  it('may be absent', async () => {
    expect(await readPassword(join(createScratch(), 'none'), login)).toEqual({});
    expect(await readPassword('/dev/null/pgpass', login)).toEqual({});
  });

  it('is not used when others can read it, when it is no plain file or cannot be read, and it is told why', async () => {
    const path = join(createScratch(), 'pgpass');
    writeFileSync(path, '*:*:*:*:secret', { mode: 0o600 });
    expect(await readPassword(path, login)).toEqual({ password: 'secret' });
    chmodSync(path, 0o640);
    expect(await readPassword(path, login)).toEqual({ ignored: `others may read "${path}": chmod 0600` });
    expect(await readPassword('/dev/null', login)).toEqual({ ignored: '"/dev/null" is no plain file' });
    const loop = join(createScratch(), 'loop');
    symlinkSync(loop, loop);
    expect((await readPassword(loop, login)).ignored).toContain('ELOOP');
  });
});
