import { getSystemErrorName } from 'node:util';
import { expect, it } from 'vitest';
import { errnoText, isDiskFull, isErrno } from '../../src/errno.ts';
import { fileError } from '../../src/store/file-error.ts';

/** As Node makes it of an answer of the system. */
function answered(errno: number, call: string): NodeJS.ErrnoException {
  const name = getSystemErrorName(errno);
  const meaning = name.startsWith('Unknown') ? name : 'meaning';
  return Object.assign(new Error(`${name}: ${meaning}, ${call}`), { errno, code: name, syscall: call });
}

it('knows a quota that is used up, for which Node has no name', () => {
  const error = answered(-122, 'close');
  expect(error.code).toBe('Unknown system error -122');
  expect(isErrno(error, 'EDQUOT')).toBe(true);
  expect(isDiskFull(error)).toBe(true);
  expect(fileError('could not store a file', '/archive/x', error)).toMatchObject({
    detail: '"/archive/x": EDQUOT: disk quota exceeded, close',
    hint: expect.stringContaining('Raise the quota'),
    full: true,
    transient: false,
  });
});

it('knows it of a synchronous call, too, of which Node says even less', () => {
  const error = Object.assign(new Error('UNKNOWN: unknown error, write'), { errno: -122, code: 'UNKNOWN' });
  expect(isDiskFull(error)).toBe(true);
  expect(errnoText(error)).toBe('EDQUOT: disk quota exceeded, write');
});

it('asks again where the handle of a network file system is stale, for which Node has no name either', () => {
  expect(fileError('could not read a file', '/archive/x', answered(-116, 'read'))).toMatchObject({
    detail: '"/archive/x": ESTALE: stale file handle, read',
    transient: true,
  });
});

it('leaves the names that Node has', () => {
  const error = answered(-28, 'write');
  expect(isErrno(error, 'ENOSPC')).toBe(true);
  expect(isErrno(error, 'EDQUOT')).toBe(false);
  expect(errnoText(error)).toBe('ENOSPC: meaning, write');
  expect(isErrno(new Error('x'))).toBe(false);
});
