import { expect, it } from 'vitest';
import { UserError } from '../../src/errors.ts';
import { parseRestoreSpec, readRestoreSpec } from '../../src/restore/restore-spec.ts';

const source = {
  basePrefix: '/var/lib/pgsql/data/',
  tablespaces: new Map([
    ['16384', { loc: '/srv/one/', link: 'pg_tblspc/16384' }],
    ['16385', { loc: '/srv/two/', link: 'pg_tblspc/16385' }],
  ]),
};
const parse = (spec: unknown) => parseRestoreSpec(JSON.stringify(spec), source, '/new/data');

it("replaces what it names and keeps the sentinel's for the rest", () => {
  expect(parse({ '16384': { loc: '/new/one/', link: 'pg_tblspc/16384' } })).toEqual(
    new Map([
      ['16384', '/new/one'],
      ['16385', '/srv/two'],
    ]),
  );
});

it("is, as SOURCE, the sentinel's alone", async () => {
  expect(await readRestoreSpec('SOURCE', source, '/new/data')).toEqual(
    new Map([
      ['16384', '/srv/one'],
      ['16385', '/srv/two'],
    ]),
  );
  await expect(readRestoreSpec('SOURCE', undefined, '/new/data')).rejects.toThrow(UserError);
});

it('may name the directory of the command line as its base_prefix, and no other', () => {
  expect(parse({ base_prefix: '/new/data/' }).size).toBe(2);
  expect(() => parse({ base_prefix: '/var/lib/pgsql/data/' })).toThrow(UserError);
});

it.each([
  ['leaves a tablespace out', { tablespaces: ['16384'], '16384': { loc: '/n', link: 'pg_tblspc/16384' } }],
  ['names one that the backup has not', { tablespaces: ['16384', '16385', '9'], '9': { loc: '/n' } }],
  ['has a relative place', { '16384': { loc: 'here', link: 'pg_tblspc/16384' } }],
  ['has a place of the wrong type', { '16384': { loc: 7, link: 'pg_tblspc/16384' } }],
  ['has another link', { '16384': { loc: '/n', link: '../../etc' } }],
  ['lists something that is no oid', { tablespaces: ['../x'] }],
  ['is no object', [1]],
])('is refused when it %s', (_, spec) => {
  expect(() => parse(spec)).toThrow(UserError);
});

it('[bfetch-12] is refused when it is not JSON, or not there', async () => {
  expect(() => parseRestoreSpec('{', source, '/new/data')).toThrow(UserError);
  await expect(readRestoreSpec('/nonexistent/spec.json', source, '/new/data')).rejects.toMatchObject({
    exitStatus: 1,
  });
});
