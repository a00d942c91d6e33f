/**
 * The operator's verbs, through yargs: their values, and the help of every verb. Built from the same table as the quick
 * parse; the only file that knows yargs.
 */
import yargs, { type Argv } from 'yargs';
import { UsageError } from '../errors.ts';
import type { Command, Commands } from './command.ts';
import type { Given, Words } from './grammar.ts';
import { longName, type Option, type Options, takesValue, type Value, type Values } from './option.ts';
import { convertOption, convertPositional } from './values.ts';

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
  // The spelling is settled before: what is no option here is an argument that begins with a dash.
  'unknown-options-as-args': true,
};
const HELP_COLUMNS = 100;

/** The values of the verb that `words` name. Throws UsageError. */
export async function operatorValues(words: Words, table: Table): Promise<Values> {
  let values: Values | undefined;
  const parser = describe(table, (made) => {
    values = made;
  });
  await parser.parseAsync([...words.path, ...words.given.map(spelled), ...words.positionals]);
  if (values === undefined) throw new UsageError(`a subcommand of ${words.path.join(' ')} is required`);
  return values;
}

/** The help text of the verb at `path`, of the program when it is empty. */
export async function helpText(path: readonly string[], table: Table): Promise<string> {
  const parser = describe(table, () => undefined);
  return new Promise((resolve, reject) => {
    parser.parse([...path, '--help'], {}, (error: unknown, _args: unknown, output: string) => {
      if (output === '') reject(error);
      else resolve(`${output}\n`);
    });
  });
}

function describe({ commands, globals }: Table, use: (values: Values) => void): Argv {
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
  addOptions(parser, withoutHelp(globals), 'Global options:');
  addCommands(parser, commands, {}, use);
  return parser.group(['help', 'version'], 'Global options:');
}

function addCommands(parser: Argv, commands: Commands, outer: Options, use: (values: Values) => void): void {
  for (const [name, entry] of Object.entries(commands)) {
    if (entry.kind === 'command') addCommand(parser, name, entry, outer, use);
    else {
      parser.command(name, entry.summary, (inner) => {
        addOptions(inner, entry.options, 'Options:');
        addCommands(inner, entry.commands, entry.options, use);
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
        inner.positional(placeholder, { type: 'string', describe: help });
      }
      addOptions(inner, entry.options, 'Options:');
      return entry.epilogue === undefined ? inner : inner.epilogue(entry.epilogue);
    },
    (argv) => use(valuesOf(entry, outer, argv)),
  );
}

function addOptions(parser: Argv, options: Options, group: string): void {
  for (const [key, option] of Object.entries(options)) {
    parser.option(longName(key), { ...shape(option), group, describe: option.help });
    if (option.kind === 'switch') parser.option(`no-${longName(key)}`, { type: 'boolean', group });
  }
}

function shape(option: Option) {
  return {
    ...(option.short === undefined ? {} : { alias: option.short }),
    ...(option.kind === 'texts' ? { array: true, string: true } : {}),
    ...(option.kind === 'integer' && option.default !== undefined
      ? { defaultDescription: String(option.default) }
      : {}),
    ...(takesValue(option) ? { type: 'string' as const, requiresArg: true } : { type: 'boolean' as const }),
  };
}

function valuesOf(entry: Command, outer: Options, argv: Readonly<Record<string, unknown>>): Values {
  const values: Values = {};
  for (const [key, positional] of Object.entries(entry.positionals)) {
    const given = argv[positional.placeholder];
    values[key] = typeof given === 'string' ? convertPositional(positional, given) : undefined;
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
  const texts = Array.isArray(given) ? given.map(String) : [];
  if (option.kind === 'texts') return texts;
  // Given several times the last one counts, as in argparse.
  const last = typeof given === 'string' ? given : texts.at(-1);
  if (last !== undefined) return convertOption(key, option, last);
  return option.kind === 'integer' ? option.default : undefined;
}

function spelled({ key, option, text }: Given): string {
  if (option.kind === 'switch') return text === 'on' ? `--${longName(key)}` : `--no-${longName(key)}`;
  return text === undefined ? `--${longName(key)}` : `--${longName(key)}=${text}`;
}

function withoutHelp(globals: Options): Options {
  return Object.fromEntries(Object.entries(globals).filter(([key]) => key !== 'help'));
}
