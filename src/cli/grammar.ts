/**
 * The spelling that the original's argparse accepts, brought to one form: unambiguous beginnings of long options,
 * `--name=value`, `-pN`, flags run together, negative numbers as arguments, `--`. What the words mean (types,
 * defaults, what is missing) is left to the quick parse and to yargs.
 */
import { UsageError } from '../errors.ts';
import type { Command, Commands, Group } from './command.ts';
import { displayName, longName, type Option, type Options, takesValue } from './option.ts';

export interface Given {
  readonly key: string;
  readonly option: Option;
  /** undefined for flags; a switch has `on` or `off`. */
  readonly text: string | undefined;
}

export interface Words {
  readonly globals: readonly Given[];
  /** The verb's names, e.g. `delete`, `before`; also when there is no such verb. */
  readonly path: readonly string[];
  readonly group: Group | undefined;
  readonly command: Command | undefined;
  /** The verb's own options (a group's included). */
  readonly given: readonly Given[];
  readonly positionals: readonly string[];
}

const NEGATIVE_NUMBER = /^-\d+$|^-\d*\.\d+$/;

/** Throws UsageError for options that do not exist, are ambiguous, or lack their value. */
export function readWords(argv: readonly string[], commands: Commands, globals: Options): Words {
  const reader = new Reader(commands, globals);
  try {
    readAll(reader, argv);
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    throw new UsageError(error.message, { hint: helpHint(reader.words().path) });
  }
  return reader.words();
}

/** What to do after a usage error. */
export function helpHint(path: readonly string[]): string {
  return `see ${['wal-e', ...path].join(' ')} --help`;
}

function readAll(reader: Reader, argv: readonly string[]): void {
  let onlyPositionals = false;
  for (let at = 0; at < argv.length; at++) {
    const word = argv[at] ?? '';
    if (onlyPositionals || !isOption(word)) reader.positional(word);
    else if (word === '--') onlyPositionals = true;
    else if (word.startsWith('--')) at += reader.long(word, argv[at + 1]);
    else at += reader.short(word, argv[at + 1]);
  }
}

/** As to argparse, a word with a space is one only where the space is in its attached value. */
function isOption(word: string): boolean {
  if (!word.startsWith('-') || word === '-' || NEGATIVE_NUMBER.test(word)) return false;
  const space = word.indexOf(' ');
  const equals = word.indexOf('=');
  return space === -1 || (equals !== -1 && equals < space);
}

class Reader {
  readonly #commands: Commands;
  readonly #globals: Options;
  readonly #path: string[] = [];
  #group: Group | undefined;
  #command: Command | undefined;
  readonly #given: Given[] = [];
  readonly #globalsGiven: Given[] = [];
  readonly #positionals: string[] = [];

  constructor(commands: Commands, globals: Options) {
    this.#commands = commands;
    this.#globals = globals;
  }

  positional(word: string): void {
    if (this.#command !== undefined || this.#isUnknown()) {
      this.#positionals.push(word);
      return;
    }
    this.#path.push(word);
    const found = own(this.#group === undefined ? this.#commands : this.#group.commands, word);
    if (found?.kind === 'group') this.#group = found;
    else this.#command = found;
  }

  /** Returns how many further words the option took. */
  long(word: string, next: string | undefined): number {
    const equals = word.indexOf('=');
    const name = word.slice(2, equals === -1 ? undefined : equals);
    const attached = equals === -1 ? undefined : word.slice(equals + 1);
    const match = this.#findLong(name);
    if (match === undefined) return this.#unknown(word);
    if (takesValue(match.option)) {
      this.#add(match.key, match.option, attached ?? valueIn(next, match.key, match.option));
      return attached === undefined ? 1 : 0;
    }
    if (attached !== undefined) throw ignoredValue(match.key, match.option, attached);
    this.#add(match.key, match.option, match.text);
    return 0;
  }

  short(word: string, next: string | undefined): number {
    for (let at = 1; at < word.length; at++) {
      const match = this.#findShort(word.charAt(at));
      if (match === undefined) return this.#unknown(word);
      const { key, option } = match;
      if (takesValue(option)) {
        const attached = word.slice(at + 1).replace(/^=/, '');
        const isAttached = at + 1 < word.length;
        this.#add(key, option, isAttached ? attached : valueIn(next, key, option));
        return isAttached ? 0 : 1;
      }
      this.#add(key, option, undefined);
    }
    return 0;
  }

  words(): Words {
    return {
      globals: this.#globalsGiven,
      path: this.#path,
      group: this.#group,
      command: this.#command,
      given: this.#given,
      positionals: this.#positionals,
    };
  }

  #isUnknown(): boolean {
    return this.#path.length > (this.#group === undefined ? 0 : 1);
  }

  #unknown(word: string): 0 {
    // The verb itself is unknown: that is what main says, not what its options look like.
    if (this.#command === undefined && this.#isUnknown()) return 0;
    throw new UsageError(`unrecognized arguments: ${word}`);
  }

  #add(key: string, option: Option, text: string | undefined): void {
    const list = own(this.#globals, key) === option ? this.#globalsGiven : this.#given;
    list.push({ key, option, text });
  }

  /** Innermost first. */
  #scopes(): Options[] {
    return [this.#command?.options, this.#group?.options, this.#globals].filter(
      (scope) => scope !== undefined,
    );
  }

  #findShort(letter: string): { key: string; option: Option } | undefined {
    for (const scope of this.#scopes()) {
      for (const [key, option] of Object.entries(scope)) if (option.short === letter) return { key, option };
    }
    return undefined;
  }

  #findLong(name: string): Spelling | undefined {
    const scopes = this.#scopes().map(spellings);
    for (const scope of scopes) {
      const exact = scope.find((spelling) => spelling.name === name);
      if (exact !== undefined) return exact;
    }
    for (const scope of scopes) {
      const matches = scope.filter((spelling) => spelling.name.startsWith(name));
      if (matches.length > 1) throw ambiguous(name, matches);
      if (matches[0] !== undefined) return matches[0];
    }
    return undefined;
  }
}

interface Spelling {
  readonly name: string;
  readonly key: string;
  readonly option: Option;
  readonly text: string | undefined;
}

function spellings(scope: Options): Spelling[] {
  return Object.entries(scope).flatMap(([key, option]): Spelling[] => {
    const name = longName(key);
    if (option.kind !== 'switch') return [{ name, key, option, text: undefined }];
    return [
      { name, key, option, text: 'on' },
      { name: `no-${name}`, key, option, text: 'off' },
    ];
  });
}

function own<Value>(table: Readonly<Record<string, Value>>, key: string): Value | undefined {
  return Object.hasOwn(table, key) ? table[key] : undefined;
}

function valueIn(next: string | undefined, key: string, option: Option): string {
  if (next === undefined || isOption(next)) {
    throw new UsageError(`argument ${displayName(key, option)}: expected one argument`);
  }
  return next;
}

function ignoredValue(key: string, option: Option, value: string): UsageError {
  return new UsageError(`argument ${displayName(key, option)}: ignored explicit argument '${value}'`);
}

function ambiguous(name: string, matches: readonly Spelling[]): UsageError {
  const names = matches.map((match) => `--${match.name}`).join(', ');
  return new UsageError(`ambiguous option: --${name} could match ${names}`);
}
