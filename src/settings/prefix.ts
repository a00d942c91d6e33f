/**
 * The storage prefix: which archive a command works on. Options come before the environment; among options file, gs,
 * s3, wabs, among variables file, gs, s3, swift, wabs; an empty one counts as not set (WAL-E 1.1.1; docs/conformance.md).
 */
import { SettingError } from '../errors.ts';
import type { Settings } from './settings.ts';

export interface FilePrefix {
  readonly scheme: 'file';
  /** Absolute, without a trailing slash except for the root. */
  readonly path: string;
}

export interface S3Prefix {
  readonly scheme: 's3';
  /** `s3://bucket/path`, as given; the S3 settings read it. */
  readonly url: string;
}

export type StoragePrefix = FilePrefix | S3Prefix;

const SCHEMES = ['s3', 'wabs', 'swift', 'gs', 'file'];
const URL_PARTS = /^([^:/?#]*):\/\/[^/]*(\/.*)?$/s;

/** Throws SettingError when there is none, or when it is not one that can be used. */
export function storagePrefix(settings: Settings): StoragePrefix {
  return parsePrefix(prefixText(settings));
}

/** The prefix as it was given. */
export function prefixText({ options, environment }: Settings): string {
  const candidates = [
    options.filePrefix,
    options.gsPrefix,
    options.s3Prefix,
    options.wabsPrefix,
    environment.WALE_FILE_PREFIX,
    environment.WALE_GS_PREFIX,
    environment.WALE_S3_PREFIX,
    environment.WALE_SWIFT_PREFIX,
    environment.WALE_WABS_PREFIX,
  ];
  const text = candidates.find((candidate) => candidate !== undefined && candidate !== '');
  if (text !== undefined) return text;
  throw new SettingError('no storage prefix defined', {
    hint: 'Either set one of the --file-prefix or --s3-prefix options or define one of the WALE_FILE_PREFIX or WALE_S3_PREFIX environment variables.',
  });
}

function parsePrefix(text: string): StoragePrefix {
  const [, givenScheme = '', path = ''] = URL_PARTS.exec(text) ?? [];
  const scheme = givenScheme.toLowerCase();
  if (!SCHEMES.includes(scheme)) throw badScheme(scheme);
  if (scheme !== 'file' && scheme !== 's3') throw notSupported(scheme);
  if (/[?#]/.test(text)) throw badCharacter(text);
  if (text.endsWith('\r')) throw carriageReturn(text);
  if (scheme === 'file') return { scheme, path: filePath(path) };
  return { scheme, url: text };
}

/** The host is ignored: everything after it is the path (observed). */
function filePath(path: string): string {
  if (path !== '') return path.length > 1 ? path.replace(/\/+$/, '') || '/' : path;
  throw new SettingError('file prefix without a path', {
    hint: 'Write it as file://localhost/absolute/path.',
  });
}

function badScheme(scheme: string): SettingError {
  return new SettingError(
    'bad S3, Windows Azure Blob Storage, OpenStack Swift, Google Cloud Storage or File URL scheme passed',
    { detail: `The scheme ${scheme} was passed when "s3", "wabs", "swift", "gs", or "file" was expected.` },
  );
}

function notSupported(scheme: string): SettingError {
  const names: Record<string, string> = {
    wabs: 'Windows Azure Blob Storage',
    gs: 'Google Cloud Storage',
    swift: 'OpenStack Swift',
  };
  return new SettingError(`the ${scheme} store is not supported`, {
    detail: `The storage prefix names ${names[scheme]}; this program stores in S3, in stores that speak S3, and in files.`,
    hint: 'Use an s3:// prefix with WALE_S3_ENDPOINT (Google Cloud Storage and Swift speak S3 as well), or a file:// prefix.',
  });
}

/** That of a file written on Windows: the archive would begin anew, under a name that looks the same. */
function carriageReturn(text: string): SettingError {
  return new SettingError('storage prefix ends in a carriage return', {
    detail: `The prefix is ${JSON.stringify(text)}.`,
    hint: 'A file of an envdir must end its line with a line feed alone; editors on Windows put a carriage return before it.',
  });
}

function badCharacter(text: string): SettingError {
  return new SettingError('storage prefix has a "?" or "#" in it', {
    detail: `The prefix is "${text}".`,
    hint: 'The original would cut it off there; give the prefix without it.',
  });
}
