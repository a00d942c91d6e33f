/** What main hands to every command: one signal, one log, the settings, the store on demand. */
import type { Log } from '../log.ts';
import type { Settings } from '../settings/settings.ts';
import type { Store } from '../store/store.ts';

export interface Context {
  readonly settings: Settings;
  readonly log: Log;
  /** Aborted by SIGINT, SIGTERM, SIGHUP and the command's deadline; `reason` is a UserError. */
  readonly signal: AbortSignal;
  /**
   * Opens the store that the prefix names, wrapped in retry and deadline. Main closes it. `notesFolder`: where it is
   * remembered what the store was seen to do.
   */
  openStore(notesFolder?: string): Promise<Store>;
  /** The command's result, and nothing else, goes to standard output. Resolves when it was written. */
  print(text: string): Promise<void>;
}
