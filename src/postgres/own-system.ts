/**
 * Whether a segment belongs to the cluster that it is fetched for. PostgreSQL itself takes a segment of another system
 * for the end of the WAL (XLogReaderValidatePageHeader in xlogreader.c), and so would end a recovery early.
 */
import { closeSync, openSync, readSync } from 'node:fs';
import { join } from 'node:path';
import { DataError } from '../errors.ts';
import { readWalPage } from './wal-page.ts';

/** Both begin with the identifier in the machine's byte order: pg_control at 0, a segment's first page at 24. */
const IDENTIFIER_BYTES = 8;
const IN_PAGE = 24;

/** `head`: the start of the segment. Throws DataError; a folder that is no data directory cannot tell. */
export function checkOwnSystem(name: string, head: Uint8Array, dataDirectory: string): void {
  const own = ownIdentifier(join(dataDirectory, 'global', 'pg_control'));
  if (own === undefined || own.equals(head.subarray(IN_PAGE, IN_PAGE + IDENTIFIER_BYTES))) return;
  throw new DataError(`the WAL segment ${name} belongs to another database system`, {
    detail: `Its system identifier is ${readWalPage(head)?.systemIdentifier}, that of the data directory is ${asText(own)}.`,
    hint: 'Is this the archive of another server, or do two servers archive to one prefix? Where a server was upgraded (pg_upgrade) under the same prefix, the WAL of the old one ends here: set a recovery target, or WALE_FETCH_ERROR_EXIT=1 for this recovery.',
  });
}

function ownIdentifier(controlFile: string): Buffer | undefined {
  let descriptor: number;
  try {
    descriptor = openSync(controlFile, 'r');
  } catch {
    return undefined;
  }
  try {
    const identifier = Buffer.alloc(IDENTIFIER_BYTES);
    return readSync(descriptor, identifier) === IDENTIFIER_BYTES ? identifier : undefined;
  } finally {
    closeSync(descriptor);
  }
}

/** PostgreSQL runs on little-endian machines where this program does. */
function asText(identifier: Buffer): string {
  return String(identifier.readBigUInt64LE());
}
