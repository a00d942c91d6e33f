import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeEach, describe, expect, it } from 'vitest';
import { parseEnvFile, readEnvdir } from '../../src/settings/envdir.ts';
import { createScratch } from '../harness/scratch.ts';

const bytes = (text: string) => new TextEncoder().encode(text);

describe('a file of an envdir, as daemontools reads it', () => {
  it.each([
    ['value\n', 'value'],
    ['value', 'value'],
    ['first line\nsecond line\n', 'first line'],
    ['trailing blanks \t \n', 'trailing blanks'],
    [' leading blank\n', ' leading blank'],
    ['one\0two\n', 'one\ntwo'],
    ['carriage return\r\n', 'carriage return\r'],
    ['\n', ''],
    ['ümläut\n', 'ümläut'],
  ])('%j sets %j', (content, value) => {
    expect(parseEnvFile(bytes(content))).toBe(value);
  });

  it('removes the variable when it is empty', () => {
    expect(parseEnvFile(bytes(''))).toBeUndefined();
  });
});

describe('an envdir', () => {
  let directory: string;
  beforeEach(() => {
    directory = createScratch();
  });

  it('is read whole, links included, hidden files not', () => {
    writeFileSync(join(directory, 'WALE_S3_PREFIX'), 's3://bucket/x\n');
    writeFileSync(join(directory, 'PGHOST'), '');
    writeFileSync(join(directory, '.gitignore'), '*');
    symlinkSync('WALE_S3_PREFIX', join(directory, 'LINK'));
    expect(Object.fromEntries(readEnvdir(directory))).toEqual({
      LINK: 's3://bucket/x',
      PGHOST: undefined,
      WALE_S3_PREFIX: 's3://bucket/x',
    });
  });

  it('that is not there is a setting that is wrong', () => {
    expect(() => readEnvdir(join(directory, 'absent'))).toThrow('could not read the envdir');
  });

  it('with a folder in it is refused by the name of that', () => {
    const folder = join(directory, 'backup');
    mkdirSync(folder);
    expect(() => readEnvdir(directory)).toThrow(
      expect.objectContaining({ message: 'could not read the envdir', detail: `"${folder}" is a folder.` }),
    );
  });

  it('with a name that no variable can have is refused', () => {
    writeFileSync(join(directory, 'A=B'), 'x');
    expect(() => readEnvdir(directory)).toThrow('could not read the envdir');
  });
});
