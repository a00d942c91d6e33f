/** One verb of the command line, and a group of verbs (`delete before|retain|...`). */
import type { Context } from '../commands/context.ts';
import type { Environment } from '../settings/settings.ts';
import type { Options, OptionValues, Positionals, PositionalValues, Values } from './option.ts';

/** What a command's file exports. */
interface CommandModule<Arguments> {
  run(args: Arguments, context: Context): Promise<number>;
}

interface Declaration<P extends Positionals, O extends Options> {
  readonly summary: string;
  /**
   * The status to exit with where the command failed, or could not even be started, with `status`; for commands whose
   * statuses PostgreSQL interprets. `argv` is as it was typed, sound or not.
   */
  readonly failureStatus?: (
    status: number,
    environment: Environment,
    argv: readonly string[],
  ) => Promise<number>;
  /** The status after which PostgreSQL asks again, while being killed by a signal makes it stop. */
  readonly askAgainStatus?: number;
  /** Shown below the options in the command's help: exit statuses, an example. */
  readonly epilogue?: string;
  readonly positionals: P;
  readonly options: O;
}

export interface Command extends Declaration<Positionals, Options> {
  readonly kind: 'command';
  /** PostgreSQL starts it for every segment: parsed without yargs, and no banner in the log. */
  readonly quick: boolean;
  run(values: Values, context: Context): Promise<number>;
}

/** Verbs below a verb; its own options stand before or after the name of the inner verb. */
export interface Group {
  readonly kind: 'group';
  readonly summary: string;
  readonly options: Options;
  readonly commands: Readonly<Record<string, Command>>;
}

export type Commands = Readonly<Record<string, Command | Group>>;

/**
 * Declares a verb. The compiler checks that what its declarations produce is what `run` of the loaded file takes;
 * `fixed` are arguments that come with the verb's name instead of being typed.
 */
export function command<
  const P extends Positionals,
  const O extends Options,
  const F extends object = object,
  const G extends Options = Record<never, never>,
>(
  declaration: Declaration<P, O> & {
    readonly quick?: boolean;
    readonly fixed?: F;
    /** The options of the group that this verb belongs to: their values are among its arguments. */
    readonly group?: G;
    readonly load: () => Promise<CommandModule<PositionalValues<P> & OptionValues<O & G> & F>>;
  },
): Command {
  const { load, fixed, group: _, quick = false, ...rest } = declaration;
  return {
    ...rest,
    kind: 'command',
    quick,
    async run(values, context) {
      const loaded = await load();
      // The parse made `values` from the very declarations that this type is computed from.
      const args = { ...values, ...fixed } as PositionalValues<P> & OptionValues<O & G> & F;
      return loaded.run(args, context);
    },
  };
}
