import { expect, it } from 'vitest';
import { plainWords } from '../../src/postgres/simple-command.ts';
import { neededVariables, restoreCommand } from '../../src/restore/restore-command.ts';

const program = ['/usr/bin/node', '/opt/wal-e/bin/wal-e.cjs'];

it('names the program with its envdir, absolute', () => {
  const settings = { environment: {}, options: { envdir: '/etc/wal-e.d/env' } };
  expect(restoreCommand(program, settings)).toBe(
    '/usr/bin/node /opt/wal-e/bin/wal-e.cjs --envdir /etc/wal-e.d/env wal-fetch "%f" "%p"',
  );
});

it('names the prefix where there is no envdir, and never a secret', () => {
  const environment = {
    WALE_S3_PREFIX: 's3://bucket/db',
    AWS_SECRET_ACCESS_KEY: 'hidden',
    AWS_ACCESS_KEY_ID: 'AK',
  };
  const command = restoreCommand(program, { environment, options: {} });
  expect(command).toContain(' --s3-prefix=s3://bucket/db wal-fetch ');
  expect(command).not.toMatch(/hidden|AK/);
  expect(neededVariables({ environment, options: {} })).toEqual([
    'AWS_ACCESS_KEY_ID',
    'AWS_SECRET_ACCESS_KEY',
  ]);
});

it('quotes for the shell, and doubles % for PostgreSQL', () => {
  const settings = { environment: {}, options: { envdir: "/it's 100% here" } };
  const command = restoreCommand(['/a b/wal-e'], settings);
  expect(command).toBe(`'/a b/wal-e' --envdir '/it'\\''s 100%% here' wal-fetch "%f" "%p"`);
});

it('is one plain command to a shell', () => {
  const settings = { environment: { WALE_FILE_PREFIX: 'file://localhost/var/archive' }, options: {} };
  expect(plainWords(restoreCommand(program, settings).replaceAll('%f', 'F').replaceAll('%p', 'P'))).toEqual([
    ...program,
    '--file-prefix=file://localhost/var/archive',
    'wal-fetch',
    'F',
    'P',
  ]);
});

it('needs no variables with an envdir, nor those of S3 for files', () => {
  const environment = { AWS_REGION: 'x', WALE_FILE_PREFIX: 'file:///x', GNUPGHOME: '/g' };
  expect(neededVariables({ environment, options: { envdir: '/e' } })).toEqual([]);
  expect(neededVariables({ environment, options: {} })).toEqual(['GNUPGHOME']);
});
