import { mkdirSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { UserError } from '../../src/errors.ts';
import { writeMarker } from '../../src/restore/marker.ts';
import { checkLocations, parseTablespaceOptions, placeTablespaces } from '../../src/restore/tablespaces.ts';
import { inspectTarget } from '../../src/restore/target.ts';
import { createScratch } from '../harness/scratch.ts';

let scratch: string;
let data: string;
beforeEach(() => {
  scratch = createScratch();
  data = join(scratch, 'data');
});
afterEach(() => {
  vi.restoreAllMocks();
  rmSync(scratch, { recursive: true, force: true });
});

const spec = {
  basePrefix: '/old/',
  tablespaces: new Map([['16384', { loc: '/srv/one/', link: 'pg_tblspc/16384' }]]),
};
const nothing = { blind: false, spec: undefined, given: new Map<string, string>() };

describe('a target', () => {
  it('may be absent or empty, or hold no more than lost+found and prepared links', async () => {
    expect(await inspectTarget(data)).toMatchObject({ exists: false, foreign: [] });
    mkdirSync(join(data, 'lost+found'), { recursive: true });
    mkdirSync(join(data, 'pg_tblspc'));
    mkdirSync(join(scratch, 'one'));
    mkdirSync(join(scratch, 'wal'));
    symlinkSync('../../one', join(data, 'pg_tblspc', '16384'));
    symlinkSync(join(scratch, 'wal'), join(data, 'pg_wal'));
    const target = await inspectTarget(data);
    expect(target.foreign).toEqual([]);
    expect(target.tablespaceLinks.get('16384')).toEqual({
      location: join(scratch, 'one'),
      directory: join(scratch, 'one'),
    });
    expect(target.walLinks.get('pg_wal')).toBe(join(scratch, 'wal'));
  });

  it('is foreign when it holds anything else', async () => {
    mkdirSync(join(data, 'pg_tblspc', 'files'), { recursive: true });
    writeFileSync(join(data, 'PG_VERSION'), '14');
    mkdirSync(join(data, 'pg_wal'));
    expect([...(await inspectTarget(data)).foreign].sort()).toEqual(['PG_VERSION', 'pg_tblspc', 'pg_wal']);
  });

  it('is foreign when it holds a prepared link to WAL of another time', async () => {
    mkdirSync(join(scratch, 'wal', 'lost+found'), { recursive: true });
    mkdirSync(data);
    symlinkSync(join(scratch, 'wal'), join(data, 'pg_wal'));
    expect((await inspectTarget(data)).foreign).toEqual([]);
    writeFileSync(join(scratch, 'wal', '000000010000000000000003'), '');
    expect((await inspectTarget(data)).foreign).toEqual(['pg_wal']);
  });

  it('is named without symbolic links, also when it is absent', async () => {
    mkdirSync(join(scratch, 'real'));
    symlinkSync('real', join(scratch, 'alias'));
    expect((await inspectTarget(join(scratch, 'alias/a/b'))).directory).toBe(join(scratch, 'real/a/b'));
  });

  it("is refused while a server runs on it, in the original's words", async () => {
    mkdirSync(data);
    writeFileSync(join(data, 'postmaster.pid'), '1');
    await expect(inspectTarget(data)).rejects.toMatchObject({
      message: 'attempting to overwrite a live data directory',
      exitStatus: 1,
    });
  });

  it('is refused when another user owns it, unless root restores', async () => {
    mkdirSync(data);
    const { uid } = statSync(data);
    const user = vi.spyOn(process as { geteuid(): number }, 'geteuid');
    user.mockReturnValue(uid + 1);
    await expect(inspectTarget(data)).rejects.toMatchObject({
      message: 'the target of the restore belongs to another user',
      exitStatus: 1,
    });
    for (const allowed of [uid, 0]) {
      user.mockReturnValue(allowed);
      expect((await inspectTarget(data)).exists).toBe(true);
    }
  });

  it('is refused when it is a file or a link that leads nowhere', async () => {
    writeFileSync(data, '');
    await expect(inspectTarget(data)).rejects.toThrow(UserError);
    rmSync(data);
    symlinkSync('nowhere', data);
    await expect(inspectTarget(data)).rejects.toThrow(UserError);
  });

  it('is not kept from being used by what a run left that was killed while it wrote its first marker', async () => {
    mkdirSync(data);
    writeFileSync(join(data, 'wal-e-restore-incomplete.json.e2c0c6a4-1f70-4a57-9c2e-0d6f3c1b8a55'), '{');
    expect(await inspectTarget(data)).toMatchObject({ foreign: [], marker: undefined });
  });

  it('tells of the restore that was not finished in it', async () => {
    mkdirSync(data);
    const marker = {
      backup: 'base_000000010000000000000003_00000040',
      process: { host: 'db1', pid: 4711 },
      tablespaces: new Map([['16384', '/new']]),
      parts: new Map([[0, { size: 123, mark: '2026-11-21T07:00:00.000Z', files: 2 }]]),
      links: [{ part: 0, path: 'a', target: 'b' }],
    };
    await writeMarker(data, marker);
    expect((await inspectTarget(data)).marker).toEqual(marker);
    writeFileSync(join(data, 'wal-e-restore-incomplete.json'), '{');
    await expect(inspectTarget(data)).rejects.toThrow(UserError);
  });
});

describe('tablespaces', () => {
  it('go where --tablespace says, else the spec, else where a prepared link leads, else inside with --blind-restore', async () => {
    mkdirSync(join(data, 'pg_tblspc'), { recursive: true });
    mkdirSync(join(scratch, 'linked'));
    const at = (await inspectTarget(data)) as Awaited<ReturnType<typeof inspectTarget>>;
    const place = (wishes: Partial<typeof nothing>, target = at) =>
      placeTablespaces(spec, target, { ...nothing, ...wishes })[0]?.location;
    const both = { given: new Map([['16384', '/given/']]), spec: new Map([['16384', '/spec']]) as never };
    expect(place(both)).toBe('/given');
    expect(place({ spec: new Map([['16384', '/spec']]) as never })).toBe('/spec');
    expect(place({ blind: true })).toBe(join(data, 'tablespaces', '16384'));
    symlinkSync(join(scratch, 'linked'), join(data, 'pg_tblspc', '16384'));
    expect(place({ blind: true }, await inspectTarget(data))).toBe(join(scratch, 'linked'));
    expect(() =>
      place(both, { ...at, tablespaceLinks: new Map([['16384', { location: '/x', directory: '/x' }]]) }),
    ).toThrow(UserError);
  });

  it("without a place are refused in the original's words", async () => {
    const target = await inspectTarget(data);
    expect(() => placeTablespaces(spec, target, nothing)).toThrow(
      'Symlinks for some tablespaces not found or created.',
    );
    mkdirSync(join(data, 'pg_tblspc'), { recursive: true });
    symlinkSync('/nonexistent', join(data, 'pg_tblspc/16384'));
    const dangling = await inspectTarget(data);
    expect(() => placeTablespaces(spec, dangling, nothing)).toThrow(UserError);
  });

  it.each(['16384', '16384=relative', 'x=/y', '0=/y', '=/y'])('are not given as %j', (option) => {
    expect(() => parseTablespaceOptions([option])).toThrow(UserError);
  });

  it('are not given twice, nor when the backup has none of that oid', async () => {
    expect(() => parseTablespaceOptions(['1=/a', '1=/b'])).toThrow(UserError);
    const target = await inspectTarget(data);
    const given = new Map([['999', '/x']]);
    expect(() => placeTablespaces(spec, target, { ...nothing, blind: true, given })).toThrow(UserError);
  });

  it('are refused where something lies, within the data directory, around it, or on each other', async () => {
    mkdirSync(join(scratch, 'full'));
    writeFileSync(join(scratch, 'full', 'precious'), '');
    symlinkSync('full', join(scratch, 'alias'));
    mkdirSync(data);
    const target = await inspectTarget(data);
    const check = (...places: readonly string[]) =>
      checkLocations(
        places.map((location, i) => ({
          oid: String(i + 1),
          location,
          source: undefined,
          linked: false,
          inside: false,
        })),
        target,
        false,
      );
    await check(join(scratch, 'new'), join(scratch, 'new2'));
    await expect(check(join(scratch, 'full'))).rejects.toThrow(UserError);
    await expect(check(join(scratch, 'alias'))).rejects.toThrow(UserError);
    await expect(check(join(scratch, 'full', 'precious'))).rejects.toThrow(UserError);
    await expect(check(join(data, 'base'))).rejects.toThrow(UserError);
    await expect(check(scratch)).rejects.toThrow(UserError);
    await expect(check(join(scratch, 'new'), join(scratch, 'new'))).rejects.toThrow(UserError);
    await expect(check(join(scratch, 'missing', 'new'))).rejects.toThrow(UserError);
    await checkLocations(
      [{ oid: '1', location: join(scratch, 'full'), source: undefined, linked: true, inside: false }],
      target,
      true,
    );
  });
});
