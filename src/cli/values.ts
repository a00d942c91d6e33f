/** Words -> the values that a command's declarations promise; shared by the quick parse and by yargs. */
import { UsageError } from '../errors.ts';
import type { Command } from './command.ts';
import type { Given, Words } from './grammar.ts';
import {
  displayName,
  type Option,
  type Options,
  type Positional,
  type Value,
  type Values,
} from './option.ts';

/** Of a verb that yargs does not parse. Throws UsageError for what is missing, too much, or not a number. */
export function commandValues(command: Command, words: Words): Values {
  return { ...positionalValues(command, words.positionals), ...optionValues(command.options, words.given) };
}

/** Every option's value, the default where it was not given; the last one given wins, as in argparse. */
export function optionValues(options: Options, given: readonly Given[]): Values {
  const values: Values = {};
  for (const [key, option] of Object.entries(options)) {
    const texts = given.filter((word) => word.key === key).map((word) => word.text);
    values[key] = optionValue(key, option, texts);
  }
  return values;
}

function optionValue(key: string, option: Option, texts: readonly (string | undefined)[]): Value {
  const last = texts.at(-1);
  if (option.kind === 'flag') return texts.length > 0;
  if (option.kind === 'texts') return texts.filter((text) => text !== undefined);
  if (last === undefined) return option.kind === 'integer' ? option.default : undefined;
  if (option.kind === 'switch') return last === 'on';
  return convertOption(key, option, last);
}

export function convertOption(key: string, option: Option, text: string): Value {
  const name = displayName(key, option);
  return option.kind === 'integer' ? wholeNumber(name, text, option.minimum) : text;
}

export function convertPositional(positional: Positional, text: string): Value {
  return positional.kind === 'integer' ? wholeNumber(positional.placeholder, text) : text;
}

function wholeNumber(name: string, text: string, minimum = Number.MIN_SAFE_INTEGER): number {
  const value = /^[+-]?\d+$/.test(text) ? Number(text) : Number.NaN;
  if (!Number.isSafeInteger(value)) throw new UsageError(`argument ${name}: invalid int value: '${text}'`);
  if (value < minimum) throw new UsageError(`argument ${name}: must be at least ${minimum}, not ${value}`);
  return value;
}

/** Throws UsageError when some are missing, or there are too many. */
export function checkPositionals(command: Command, texts: readonly string[]): void {
  const declared = Object.values(command.positionals);
  const missing = declared.slice(texts.length).filter(({ required }) => required);
  if (missing.length > 0) {
    const names = missing.map(({ placeholder }) => placeholder).join(', ');
    throw new UsageError(`the following arguments are required: ${names}`);
  }
  const surplus = texts.slice(declared.length);
  if (surplus.length > 0) throw new UsageError(`unrecognized arguments: ${surplus.join(' ')}`);
}

function positionalValues(command: Command, texts: readonly string[]): Values {
  checkPositionals(command, texts);
  return Object.fromEntries(
    Object.entries(command.positionals).map(([key, positional], at) => {
      const text = texts[at];
      return [key, text === undefined ? undefined : convertPositional(positional, text)];
    }),
  );
}
