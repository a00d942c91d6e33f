/** Global options as words -> the settings' form: what was not given is undefined, so that its variable counts. */
import { UsageError } from '../errors.ts';
import type { GlobalOptions } from '../settings/settings.ts';
import { globalConflicts, globalOptions } from './global-options.ts';
import type { Words } from './grammar.ts';
import { displayName, type OptionValues } from './option.ts';
import { optionValues } from './values.ts';

export interface Globals {
  readonly options: GlobalOptions;
  readonly envdir: string | undefined;
  readonly help: boolean;
  readonly version: boolean;
}

/** Throws UsageError when two options exclude each other. */
export function readGlobals(words: Words): Globals {
  for (const [first, second] of globalConflicts) {
    const given = words.globals.filter(({ key }) => key === first || key === second);
    const other = given.find(({ key }) => key !== given[0]?.key);
    if (other !== undefined && given[0] !== undefined) {
      const name = displayName(other.key, other.option);
      const against = displayName(given[0].key, given[0].option);
      throw new UsageError(`argument ${name}: not allowed with argument ${against}`);
    }
  }
  // The values were made from these very declarations.
  const values = optionValues(globalOptions, words.globals) as OptionValues<typeof globalOptions>;
  const { envdir, help, version, terse, awsInstanceProfile, ...texts } = values;
  return {
    options: { ...texts, terse: terse || undefined, awsInstanceProfile: awsInstanceProfile || undefined },
    envdir,
    help,
    version,
  };
}
