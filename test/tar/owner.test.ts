import { expect, it } from 'vitest';
import { idIn, ownersBy } from '../../src/tar/owner.ts';

const member = { uid: 26, gid: 27, userName: 'postgres', groupName: 'dba' };

it('takes the numbers that this machine gives the names', () => {
  const ownerOf = ownersBy((database) => (database === 'passwd' ? 105 : 106));
  expect(ownerOf(member)).toEqual({ uid: 105, gid: 106 });
});

it('falls back to the numbers of the archive, each for itself', () => {
  const ownerOf = ownersBy((_, name) => (name === 'dba' ? 500 : undefined));
  expect(ownerOf(member)).toEqual({ uid: 26, gid: 500 });
  expect(ownerOf({ ...member, groupName: '' })).toEqual({ uid: 26, gid: 27 });
});

it('asks once for each name', () => {
  const asked: string[] = [];
  const ownerOf = ownersBy((database, name) => {
    asked.push(`${database} ${name}`);
    return undefined;
  });
  for (let i = 0; i < 3; i += 1) ownerOf(member);
  expect(asked).toEqual(['passwd postgres', 'group dba']);
});

it('reads the number out of passwd and group lines, and out of nothing else', () => {
  const text = 'root:x:0:0:root:/root:/bin/sh\npostgres2:x:7:7::/:\npostgres:x:105:\nbroken\nodd:x:-1:\n';
  expect(idIn(text, 'root')).toBe(0);
  expect(idIn(text, 'postgres')).toBe(105);
  expect(idIn(text, 'broken')).toBeUndefined();
  expect(idIn(text, 'odd')).toBeUndefined();
  expect(idIn(text, 'x')).toBeUndefined();
});
