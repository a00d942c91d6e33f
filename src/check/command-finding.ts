/** Whether PostgreSQL's archive_command pushes with this program into this archive, and tells PostgreSQL when it fails. */
import { accessSync, constants, realpathSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { UserError } from '../errors.ts';
import { programFile } from '../program.ts';
import { readEnvdir } from '../settings/envdir.ts';
import { gpgKeyId } from '../settings/gpg.ts';
import { prefixText } from '../settings/prefix.ts';
import type { Environment, Settings } from '../settings/settings.ts';
import { type ArchiveCommand, optionValue, readArchiveCommand } from './archive-command.ts';
import { type Finding, failed, ok, warning } from './finding.ts';

const NAME = 'archive_command';
const EXAMPLE = "archive_command = 'envdir /etc/wal-e.d/env wal-e wal-push %p'";

export interface CommandFacts {
  readonly archiveCommand: string | undefined;
  readonly archiveLibrary: string | undefined;
  /** Of the postmaster, which the command inherits; undefined when this user may not see it. */
  readonly environment: Environment | undefined;
}

export function commandFinding(facts: CommandFacts, settings: Settings): Finding {
  const { archiveCommand: text = '', archiveLibrary = '' } = facts;
  if (archiveLibrary !== '')
    return failed(
      NAME,
      `archive_library is "${archiveLibrary}", so archive_command is not used`,
      "Set archive_library = '' and reload.",
    );
  if (text === '' || text === '(disabled)')
    return failed(NAME, 'empty: WAL piles up in pg_wal and is not archived', `Set ${EXAMPLE} and reload.`);
  const command = readArchiveCommand(text);
  if (command === undefined)
    return warning(
      NAME,
      `cannot tell whether it runs this program: ${text}`,
      `See that it ends with the exit status of wal-push; the plain form is ${EXAMPLE}.`,
    );
  const [problem] = command.problems;
  if (problem !== undefined)
    return failed(
      NAME,
      `${problem}: ${text}`,
      `PostgreSQL deletes WAL that it believes archived. Use ${EXAMPLE}.`,
    );
  return programFinding(command, facts, settings) ?? prefixFinding(command, facts, settings);
}

/** Debian's packages start the server without a PATH; where sh looks then, on all that we know of. */
const PATH_OF_SH = '/usr/local/bin:/usr/bin:/bin';

function programFinding(
  command: ArchiveCommand,
  { archiveCommand: text = '', environment }: CommandFacts,
  settings: Settings,
): Finding | undefined {
  const path = (environment ?? settings.environment).PATH ?? PATH_OF_SH;
  const found = locate(command.program, path);
  const own = realpathSync(programFile('../bin/wal-e.cjs'));
  if (found === own) return undefined;
  if (found !== undefined)
    return warning(
      NAME,
      `it runs ${found}, this is ${own}`,
      'Run the check of the program that archives, or correct archive_command.',
    );
  const remedy = `Write the whole path: archive_command = '${text.replace(command.program, own)}'.`;
  const where = command.program.includes('/') ? 'there' : `found in the PATH ${path}`;
  const message = `"${command.program}" is not ${where}`;
  return environment === undefined ? warning(NAME, message, remedy) : failed(NAME, message, remedy);
}

function locate(program: string, path: string): string | undefined {
  const candidates = program.includes('/')
    ? [program]
    : path.split(delimiter).map((folder) => join(folder, program));
  for (const candidate of candidates) {
    try {
      accessSync(candidate, constants.X_OK);
      return realpathSync(candidate);
    } catch {
      // Not here: the next folder of the PATH.
    }
  }
  return undefined;
}

function prefixFinding(command: ArchiveCommand, facts: CommandFacts, settings: Settings): Finding {
  const own = prefixOf(() => settings);
  const theirs = prefixOf(() => settingsOf(command, facts.environment ?? {}));
  if (own instanceof UserError)
    return warning(NAME, 'no prefix here to compare with', 'See the line "configuration".');
  if (theirs instanceof UserError) return unknownPrefix(theirs, facts.environment !== undefined);
  if (trimmed(theirs) !== trimmed(own))
    return failed(
      NAME,
      `it archives to ${theirs}, this check is for ${own}`,
      'Use the same prefix for both, or base backups and WAL do not come together.',
    );
  const told = facts.environment && difference(settings, settingsOf(command, facts.environment), own);
  return told ?? ok(NAME, 'it pushes with this program into this archive and returns its exit status');
}

/** The same prefix in another store, or without the encryption that was asked for here. */
function difference(own: Settings, theirs: Settings, prefix: string): Finding | undefined {
  const endpoint = ({ environment }: Settings) => trimmed(environment.WALE_S3_ENDPOINT ?? '') || 'AWS';
  if (prefix.startsWith('s3:') && endpoint(own) !== endpoint(theirs))
    return failed(
      NAME,
      `it archives to ${endpoint(theirs)}, this check is for ${endpoint(own)}`,
      'Use the same WALE_S3_ENDPOINT for both, or base backups and WAL do not come together.',
    );
  const key = gpgKeyId(theirs);
  if (key === gpgKeyId(own)) return undefined;
  const text = (id: string | undefined) => (id === undefined ? 'does not encrypt' : `encrypts to ${id}`);
  return warning(
    NAME,
    `it ${text(key)}, this check ${text(gpgKeyId(own))}`,
    'Set the same WALE_GPG_KEY_ID for both: base backups and WAL should be as safe as one another.',
  );
}

function unknownPrefix({ message, detail }: UserError, environmentSeen: boolean): Finding {
  if (environmentSeen)
    return failed(NAME, `it would fail: ${detail ?? message}`, `Give it the configuration: ${EXAMPLE}.`);
  return warning(
    NAME,
    `it runs this program, but with which prefix cannot be told: ${detail ?? message}`,
    "Run the check as the server's user, so that it sees the server's environment and the envdir.",
  );
}

function prefixOf(read: () => Settings): string | UserError {
  try {
    return prefixText(read());
  } catch (error) {
    if (error instanceof UserError) return error;
    throw error;
  }
}

function settingsOf({ envdirs, variables, globalOptions }: ArchiveCommand, inherited: Environment): Settings {
  const environment: Record<string, string | undefined> = { ...inherited, ...variables };
  for (const directory of envdirs) Object.assign(environment, Object.fromEntries(readEnvdir(directory)));
  const options = {
    filePrefix: optionValue(globalOptions, '--file-prefix'),
    gsPrefix: optionValue(globalOptions, '--gs-prefix'),
    s3Prefix: optionValue(globalOptions, '--s3-prefix'),
    wabsPrefix: optionValue(globalOptions, '--wabs-prefix'),
    gpgKeyId: optionValue(globalOptions, '--gpg-key-id'),
  };
  return { environment, options };
}

function trimmed(prefix: string): string {
  return prefix.replace(/\/+$/, '');
}
