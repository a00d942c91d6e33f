/** The verbs. Each is loaded when it is called. */
import { type Commands, command } from './command.ts';

export const commands: Commands = {
  version: command({
    summary: 'print the version',
    quick: true,
    positionals: {},
    options: {},
    load: () => import('../commands/version.ts'),
  }),
};
