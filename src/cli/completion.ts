/** The completion script for bash and zsh, made from the table: pressing Tab starts no program. */
import type { Context } from '../commands/context.ts';
import type { Commands } from './command.ts';
import { commands } from './commands.ts';
import { globalOptions } from './global-options.ts';
import { longName, type Options, takesValue } from './option.ts';

/** What the command line can be continued with after these verbs; without verbs to come it is files. */
interface Place {
  readonly path: readonly string[];
  readonly verbs: readonly string[];
  readonly options: readonly Options[];
}

export async function run(_args: object, context: Context): Promise<number> {
  await context.print(completionScript(commands, globalOptions));
  return 0;
}

function completionScript(table: Commands, globals: Options): string {
  const all = places(table, globals);
  const paths = all.filter(({ path }) => path.length > 0).map(({ path }) => quoted(path));
  return `# Completion of wal-e for bash and zsh: source this, or save it as
# /usr/share/bash-completion/completions/wal-e.
if [ -n "\${ZSH_VERSION-}" ]; then
  whence compdef >/dev/null || { autoload -U compinit && compinit; }
  autoload -U bashcompinit && bashcompinit
fi
_wal_e() {
  local current="\${COMP_WORDS[COMP_CWORD]}" previous='' chosen='' verbs='' options='' i
  COMPREPLY=()
  for ((i = 1; i < COMP_CWORD; i++)); do
    case "$previous" in
      ${withValue(all).join('|')}) previous='' ;;
      *)
        previous="\${COMP_WORDS[i]}"
        case "\${chosen:+$chosen }$previous" in
          ${paths.join('|')}) chosen="\${chosen:+$chosen }$previous" ;;
        esac ;;
    esac
  done
  case "$previous" in
    ${withValue(all).join('|')}) return ;;
  esac
  case "$chosen" in
${all.map(placeCase).join('\n')}
  esac
  case "$current" in
    -*) COMPREPLY=($(compgen -W "$options" -- "$current")) ;;
    *) COMPREPLY=($(compgen -W "$verbs" -- "$current")) ;;
  esac
}
complete -o default -F _wal_e wal-e
`;
}

function places(table: Commands, globals: Options): Place[] {
  const root: Place = { path: [], verbs: Object.keys(table), options: [globals] };
  return [root, ...Object.entries(table).flatMap(([name, entry]) => placesBelow(name, entry, globals))];
}

function placesBelow(name: string, entry: Commands[string], globals: Options): Place[] {
  const options = [entry.options, globals];
  if (entry.kind === 'command') return [{ path: [name], verbs: [], options }];
  const inner = Object.entries(entry.commands).map(([verb, command]) => ({
    path: [name, verb],
    verbs: [],
    options: [command.options, ...options],
  }));
  return [{ path: [name], verbs: Object.keys(entry.commands), options }, ...inner];
}

function placeCase({ path, verbs, options }: Place): string {
  const names = options.flatMap(optionNames);
  return `    ${quoted(path)}) verbs='${verbs.join(' ')}' options='${names.join(' ')}' ;;`;
}

function optionNames(options: Options): string[] {
  return Object.entries(options).flatMap(([key, { kind }]) => {
    const name = longName(key);
    return kind === 'switch' ? [`--${name}`, `--no-${name}`] : [`--${name}`];
  });
}

/** Options whose next word is their value. */
function withValue(all: readonly Place[]): string[] {
  const names = all.flatMap(({ options }) =>
    options.flatMap((scope) =>
      Object.entries(scope)
        .filter(([, option]) => takesValue(option))
        .flatMap(([key, { short }]) => [`--${longName(key)}`, ...(short === undefined ? [] : [`-${short}`])]),
    ),
  );
  return [...new Set(names)];
}

function quoted(path: readonly string[]): string {
  return `'${path.join(' ')}'`;
}
