import { describe, expect, it } from 'vitest';
import { SettingError } from '../../src/errors.ts';
import { storagePrefix } from '../../src/settings/prefix.ts';
import type { Environment, GlobalOptions } from '../../src/settings/settings.ts';

const read = (environment: Environment, options: GlobalOptions = {}) =>
  storagePrefix({ environment, options });

function failure(environment: Environment, options: GlobalOptions = {}): SettingError {
  try {
    read(environment, options);
  } catch (error) {
    if (error instanceof SettingError) return error;
    throw error;
  }
  throw new Error('no error');
}

describe('which prefix counts', () => {
  const file = { scheme: 'file', path: '/f' };

  it('an option counts before any variable', () => {
    expect(read({ WALE_FILE_PREFIX: 'file:///v' }, { s3Prefix: 's3://b' })).toEqual({
      scheme: 's3',
      url: 's3://b',
    });
  });

  it('among options: file, gs, s3, wabs', () => {
    const all = { filePrefix: 'file:///f', gsPrefix: 'gs://g', s3Prefix: 's3://s', wabsPrefix: 'wabs://w' };
    expect(read({}, all)).toEqual(file);
    expect(failure({}, { ...all, filePrefix: undefined }).message).toContain('gs');
    expect(read({}, { s3Prefix: 's3://s', wabsPrefix: 'wabs://w' })).toEqual({ scheme: 's3', url: 's3://s' });
  });

  it('among variables: file, gs, s3, swift, wabs', () => {
    const all = {
      WALE_FILE_PREFIX: 'file:///f',
      WALE_GS_PREFIX: 'gs://g',
      WALE_S3_PREFIX: 's3://s',
      WALE_SWIFT_PREFIX: 'swift://w',
      WALE_WABS_PREFIX: 'wabs://w',
    };
    expect(read(all)).toEqual(file);
    expect(failure({ ...all, WALE_FILE_PREFIX: undefined }).message).toContain('gs');
    expect(read({ ...all, WALE_FILE_PREFIX: '', WALE_GS_PREFIX: '' })).toEqual({
      scheme: 's3',
      url: 's3://s',
    });
    expect(failure({ WALE_SWIFT_PREFIX: 'swift://w', WALE_WABS_PREFIX: 'wabs://w' }).message).toContain(
      'swift',
    );
  });

  it('an empty one counts as not set, everywhere', () => {
    expect(read({ WALE_FILE_PREFIX: 'file:///f' }, { filePrefix: '' })).toEqual(file);
    expect(failure({ WALE_WABS_PREFIX: '' }).message).toBe('no storage prefix defined');
  });
});

describe('a file prefix', () => {
  it.each([
    ['file://localhost/var/archive', '/var/archive'],
    ['file:///var/archive/', '/var/archive'],
    ['file://tmp/x', '/x'],
    ['FILE://localhost/With%20Percent', '/With%20Percent'],
    ['file:///', '/'],
    ['file:////double', '//double'],
  ])('%s is the folder %s: the host is ignored', (url, path) => {
    expect(read({}, { filePrefix: url })).toEqual({ scheme: 'file', path });
  });
});

describe('a prefix that cannot be used is told before any work', () => {
  it.each([
    ['ftp://x/y', 'The scheme ftp was passed when "s3", "wabs", "swift", "gs", or "file" was expected.'],
    ['/var/archive', 'The scheme  was passed when "s3", "wabs", "swift", "gs", or "file" was expected.'],
  ])("%s: the original's words", (url, detail) => {
    const error = failure({ WALE_S3_PREFIX: url });
    expect(error.message).toBe(
      'bad S3, Windows Azure Blob Storage, OpenStack Swift, Google Cloud Storage or File URL scheme passed',
    );
    expect(error.detail).toBe(detail);
    expect(error.exitStatus).toBe(1);
  });

  it.each(['wabs', 'gs', 'swift'])('%s is not supported, and says what to use', (scheme) => {
    const error = failure({ WALE_WABS_PREFIX: `${scheme}://bucket/path` });
    expect(error.message).toBe(`the ${scheme} store is not supported`);
    expect(error.hint).toContain('s3://');
  });

  it('a file prefix without a path, or with what a URL would cut off', () => {
    expect(failure({ WALE_FILE_PREFIX: 'file://localhost' }).message).toBe('file prefix without a path');
    expect(failure({ WALE_FILE_PREFIX: 'file:///a#b' }).message).toContain('"?" or "#"');
    expect(failure({ WALE_S3_PREFIX: 's3://bucket/a?b' }).message).toContain('"?" or "#"');
  });

  it.each(['s3://bucket/archive\r', 'file://localhost/archive\r'])(
    '%j: a carriage return, which no screen shows, would make it another archive',
    (url) => {
      const error = failure({ WALE_S3_PREFIX: url });
      expect(error.message).toBe('storage prefix ends in a carriage return');
      expect(error.detail).toBe(`The prefix is ${JSON.stringify(url)}.`);
    },
  );
});
