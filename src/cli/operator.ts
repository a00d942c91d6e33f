/**
 * The operator's verbs, through yargs: their values, and the help of every verb. Built from the same table as the quick
 * parse; the only file that knows yargs.
 */
import yargs, { type Argv } from 'yargs';
import { UsageError } from '../errors.ts';
import type { Command, Commands } from './command.ts';
import type { Given, Words } from './grammar.ts';
import { longName, type Option, type Options, takesValue, type Value, type Values } from './option.ts';
import { checkPositionals, convertOption, convertPositional } from './values.ts';

export interface Table {
  readonly commands: Commands;
  readonly globals: Options;
}

const PARSER = {
  'boolean-negation': false,
  'camel-case-expansion': false,
  'dot-notation': false,
  'greedy-arrays': false,
  'parse-numbers': false,
  'parse-positional-numbers': false,
  'short-option-groups': false,
};
const HELP_COLUMNS = 80;
const SHIELD = ':';
const ELSEWHERE = 'Global options stand before the command or after it: see wal-e --help.';

/** The values of the verb that `words` name. Throws UsageError. */
export async function operatorValues(words: Words, table: Table): Promise<Values> {
  if (words.command !== undefined) checkPositionals(words.command, words.positionals);
  let values: Values | undefined;
  const parser = describe(table, (made) => {
    values = made;
  });
  await parser.parseAsync([
    ...words.path,
    ...words.given.filter(counts).map(spelled),
    ...words.positionals.map(shielded),
  ]);
  if (values === undefined) throw new UsageError(`a subcommand of ${words.path.join(' ')} is required`);
  return values;
}

/** The help text of the verb at `path`, of the program when it is empty. */
export async function helpText(path: readonly string[], table: Table): Promise<string> {
  const parser = describe(table, () => undefined, path.length > 0);
  return new Promise((resolve, reject) => {
    parser.parse([...path, '--help'], {}, (error: unknown, _args: unknown, output: string) => {
      if (output === '') reject(error);
      else resolve(`${output}\n`);
    });
  });
}

/** `isInner`: the help of a verb names its own options only. */
function describe({ commands, globals }: Table, use: (values: Values) => void, isInner = false): Argv {
  const parser = yargs()
    .scriptName('wal-e')
    .usage('$0 [global options] <command>')
    .parserConfiguration(PARSER)
    .locale('en')
    .wrap(HELP_COLUMNS)
    .version(false)
    .help('help', globals.help?.help ?? '')
    .alias('help', 'h')
    .strict()
    .exitProcess(false)
    .fail((message, error) => {
      throw error instanceof Error ? error : new UsageError(message);
    });
  const shown = Object.fromEntries(Object.entries(globals).filter(([key]) => key !== 'help'));
  addOptions(parser, shown, { group: 'Global options:', hidden: isInner });
  addCommands(parser, commands, {}, use);
  return isInner ? parser : parser.group(['help', 'version'], 'Global options:');
}

function addCommands(parser: Argv, commands: Commands, outer: Options, use: (values: Values) => void): void {
  for (const [name, entry] of Object.entries(commands)) {
    if (entry.kind === 'command') addCommand(parser, name, entry, outer, use);
    else {
      parser.command(name, entry.summary, (inner) => {
        addOptions(inner, entry.options);
        addCommands(inner, entry.commands, entry.options, use);
        inner.epilogue(ELSEWHERE);
        return inner.demandCommand(1, `one of ${Object.keys(entry.commands).join(', ')} is required`);
      });
    }
  }
}

function addCommand(
  parser: Argv,
  name: string,
  entry: Command,
  outer: Options,
  use: (values: Values) => void,
): void {
  const positionals = Object.values(entry.positionals);
  const usage = positionals.map(({ placeholder, required }) =>
    required ? `<${placeholder}>` : `[${placeholder}]`,
  );
  parser.command(
    [name, ...usage].join(' '),
    entry.summary,
    (inner) => {
      for (const { placeholder, help } of positionals) {
        inner.positional(placeholder, { describe: help });
      }
      addOptions(inner, entry.options);
      return inner.epilogue(reflowed([entry.epilogue ?? '', ELSEWHERE].join('\n\n').trimStart()));
    },
    (argv) => use(valuesOf(entry, outer, argv)),
  );
}

function addOptions(parser: Argv, options: Options, shown: { group?: string; hidden?: boolean } = {}): void {
  for (const [key, option] of Object.entries(options)) {
    const name = longName(key);
    parser.option(name, { ...shown, ...shape(option) });
    if (option.kind === 'switch') {
      parser.option(`no-${name}`, { ...shown, type: 'boolean', describe: `the opposite of --${name}` });
    }
  }
}

/** Values are left as text, which the help does not say of each. */
function shape(option: Option) {
  return {
    describe: 'placeholder' in option ? `<${option.placeholder}> ${option.help}` : option.help,
    ...(option.short === undefined ? {} : { alias: option.short }),
    ...(option.kind === 'texts' ? { array: true } : {}),
    ...(option.kind === 'integer' && option.default !== undefined
      ? { defaultDescription: String(option.default) }
      : {}),
    ...(takesValue(option) ? { nargs: 1 } : { type: 'boolean' as const }),
  };
}

function valuesOf(entry: Command, outer: Options, argv: Readonly<Record<string, unknown>>): Values {
  const values: Values = {};
  for (const [key, positional] of Object.entries(entry.positionals)) {
    const given = argv[positional.placeholder];
    values[key] =
      typeof given === 'string' ? convertPositional(positional, given.slice(SHIELD.length)) : undefined;
  }
  for (const [key, option] of Object.entries({ ...outer, ...entry.options })) {
    values[key] = optionValue(key, option, argv);
  }
  return values;
}

function optionValue(key: string, option: Option, argv: Readonly<Record<string, unknown>>): Value {
  const given = argv[longName(key)];
  if (option.kind === 'switch') {
    if (argv[`no-${longName(key)}`] === true) return false;
    return given === true ? true : undefined;
  }
  if (option.kind === 'flag') return given === true;
  if (option.kind === 'texts') return Array.isArray(given) ? given.map(String) : [];
  if (typeof given === 'string') return convertOption(key, option, given);
  return option.kind === 'integer' ? option.default : undefined;
}

/** Given several times the last one counts, as in argparse. */
function counts({ key, option }: Given, at: number, all: readonly Given[]): boolean {
  return option.kind === 'texts' || all.findLastIndex((other) => other.key === key) === at;
}

/** Keeps yargs from taking an argument such as -1 for an option. */
function shielded(argument: string): string {
  return SHIELD + argument;
}

function spelled({ key, option, text }: Given): string {
  if (option.kind === 'switch') return text === 'on' ? `--${longName(key)}` : `--no-${longName(key)}`;
  return text === undefined ? `--${longName(key)}` : `--${longName(key)}=${text}`;
}

/** Paragraphs are broken anew, to the width of the help. */
function reflowed(text: string): string {
  return text.replace(/(?<!\n)\n(?!\n)/g, ' ');
}
