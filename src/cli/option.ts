/**
 * What an option or a positional argument is, said once: the quick parse, yargs, the help texts, the completion and the
 * type of a command's arguments all come from these declarations. An option's key is its name in camel case.
 */
interface Described {
  readonly help: string;
  /** One letter. */
  readonly short?: string;
}

interface Flag extends Described {
  readonly kind: 'flag';
}

/** `--name` and `--no-name`; undefined when neither is given. */
interface Switch extends Described {
  readonly kind: 'switch';
}

interface Text extends Described {
  readonly kind: 'text';
  readonly placeholder: string;
}

/** Repeatable. */
interface Texts extends Described {
  readonly kind: 'texts';
  readonly placeholder: string;
}

interface WholeNumber<Default extends number | undefined> extends Described {
  readonly kind: 'integer';
  readonly placeholder: string;
  readonly default: Default;
  readonly minimum: number;
}

export type Option = Flag | Switch | Text | Texts | WholeNumber<number | undefined>;
export type Options = Readonly<Record<string, Option>>;

export interface Positional {
  readonly placeholder: string;
  readonly help: string;
  readonly required: boolean;
  readonly kind: 'text' | 'integer';
}
export type Positionals = Readonly<Record<string, Positional>>;

type OptionValue<O> = O extends Flag
  ? boolean
  : O extends Switch
    ? boolean | undefined
    : O extends Texts
      ? readonly string[]
      : O extends WholeNumber<infer Default>
        ? number | Default
        : string | undefined;

type PositionalValue<P> = P extends { kind: 'integer' }
  ? number
  : P extends { required: false }
    ? string | undefined
    : string;

export type OptionValues<O> = { readonly [Key in keyof O]: OptionValue<O[Key]> };
export type PositionalValues<P> = { readonly [Key in keyof P]: PositionalValue<P[Key]> };

/** Any command's values, before its declarations give them their types. */
export type Value = boolean | string | number | readonly string[] | undefined;
export type Values = Record<string, Value>;

export function flag(help: string, short?: string): Flag {
  return { kind: 'flag', help, ...(short === undefined ? {} : { short }) };
}

export function onOff(help: string): Switch {
  return { kind: 'switch', help };
}

export function text(placeholder: string, help: string, short?: string): Text {
  return { kind: 'text', placeholder, help, ...(short === undefined ? {} : { short }) };
}

export function texts(placeholder: string, help: string): Texts {
  return { kind: 'texts', placeholder, help };
}

/** An integer; without `minimum` any, as the original takes them. */
export function integer<Default extends number | undefined>(
  placeholder: string,
  help: string,
  rule: { readonly default: Default; readonly minimum?: number; readonly short?: string },
): WholeNumber<Default> {
  const { minimum = Number.MIN_SAFE_INTEGER, short } = rule;
  const base = { kind: 'integer', placeholder, help, default: rule.default, minimum } as const;
  return short === undefined ? base : { ...base, short };
}

export function required(placeholder: string, help: string) {
  return { kind: 'text', placeholder, help, required: true } as const;
}

export function requiredInteger(placeholder: string, help: string) {
  return { kind: 'integer', placeholder, help, required: true } as const;
}

export function optional(placeholder: string, help: string) {
  return { kind: 'text', placeholder, help, required: false } as const;
}

export function takesValue(option: Option): boolean {
  return option.kind !== 'flag' && option.kind !== 'switch';
}

/** `poolSize` -> `pool-size`. */
export function longName(key: string): string {
  return key.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
}

/** As argparse names an option in its errors: `-p/--pool-size`. */
export function displayName(key: string, option: Option): string {
  const long = `--${longName(key)}`;
  return option.short === undefined ? long : `-${option.short}/${long}`;
}
