import { expect, it } from 'vitest';
import { formatTablespaceMap, parseTablespaceMap } from '../../src/restore/tablespace-map.ts';

it('is an oid, a space and a path on each line', () => {
  expect(parseTablespaceMap('16384 /srv/one\n16385 /srv/two words\n')).toEqual(
    new Map([
      ['16384', '/srv/one'],
      ['16385', '/srv/two words'],
    ]),
  );
});

it('survives its own form, whatever the path holds', () => {
  const map = new Map([
    ['16384', '/odd\nname'],
    ['16385', '/back\\slash\r'],
  ]);
  expect(parseTablespaceMap(formatTablespaceMap(map))).toEqual(map);
  expect(formatTablespaceMap(map)).toBe('16384 /odd\\\nname\n16385 /back\\\\slash\\\r\n');
});

it('leaves out what PostgreSQL would not take', () => {
  expect(parseTablespaceMap('junk\n\nx /y\n12345678901 /z\n')).toEqual(new Map());
});
