import { DataError } from '../errors.ts';

/** `at`: position in the compressed data, in bytes from its start. */
export function damaged(what: string, at: number): DataError {
  return new DataError('the compressed data is damaged', { detail: `${what}, at byte ${at}` });
}

export function unsupported(what: string, at: number): DataError {
  return new DataError('the compressed data has a form that is not supported', {
    detail: `${what}, at byte ${at}`,
    hint: 'Decompress it with lzop and compress it again without options.',
  });
}
