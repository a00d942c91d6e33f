/** Entry of the program: the only place that reads process.env, turns errors into text and status, and exits. */
import type { Command } from './cli/command.ts';
import { commands } from './cli/commands.ts';
import { globalOptions } from './cli/global-options.ts';
import { type Globals, readGlobals } from './cli/globals.ts';
import { readWords, type Words } from './cli/grammar.ts';
import { watchSignals } from './cli/interruption.ts';
import { leaveHanging } from './cli/leaving.ts';
import { createPrinter, OutputClosedError } from './cli/output.ts';
import { noCommand, usageLine } from './cli/usage.ts';
import { commandValues } from './cli/values.ts';
import type { Context } from './commands/context.ts';
import { UsageError, UserError } from './errors.ts';
import { type OpenLog, openLog } from './log/open.ts';
import { createRedaction, type Redact } from './log/redact.ts';
import { writeStandardError } from './log/standard-error.ts';
import { VERSION } from './program.ts';
import { readEnvdir } from './settings/envdir.ts';
import { gpgComplaint } from './settings/gpg.ts';
import { prefixText, storagePrefix } from './settings/prefix.ts';
import type { Environment, Settings } from './settings/settings.ts';
import type { Store } from './store/store.ts';

const UNEXPECTED_STATUS = 2;
const CLOSE_MS = 1000;
/** So that what the first signal has ended is gone before it is asked whether anything hangs. */
const AT_ONCE_MS = 200;

/** One run of the program: what is opened for it is closed by it. */
class Session {
  #environment: Environment = process.env;
  #terse = false;
  #interruption: AbortSignal | undefined;
  #openLog: OpenLog | undefined;
  #redaction: Redact | undefined;
  #store: Promise<Store> | undefined;
  #words: Words | undefined;

  constructor() {
    process.on('uncaughtException', (error) => void this.#crashed(error));
    // Node ends with 0 when nothing is left to wait for, also while a promise that nobody keeps is awaited: to
    // PostgreSQL that says that the segment is archived.
    process.once(
      'beforeExit',
      () => void this.#crashed(new Error('nothing goes on, and the work is not done')),
    );
  }

  /** An error that no await caught. */
  async #crashed(error: unknown): Promise<void> {
    await this.#end(await this.#failureStatus(error, process.argv.slice(2)));
  }

  /** Opened when it is first needed, which `wal-e version` never does. */
  get #log(): OpenLog {
    this.#openLog ??= openLog(this.#environment, {
      terse: this.#terse,
      redact: (text) => this.#redact(text),
    });
    return this.#openLog;
  }

  #redact(text: string): string {
    this.#redaction ??= createRedaction(this.#environment);
    return this.#redaction(text);
  }

  /** Signals are watched as soon as there is a command that has something to clean up. */
  get #signal(): AbortSignal {
    this.#interruption ??= watchSignals(process.env.WALE_IGNORED_SIGNALS, {
      endNow: (status) => void this.#endAtOnce(status),
      stillThere: ({ message }) =>
        this.#log.log.warning(`${message}, and not yet at an end`, {
          detail: 'It still cleans up, or waits for a file system or a server that does not answer.',
          hint: 'A second signal ends it at once.',
        }),
    });
    return this.#interruption;
  }

  async run(argv: readonly string[]): Promise<void> {
    let status: number;
    try {
      status = await this.#dispatch(argv);
    } catch (error) {
      status = await this.#failureStatus(error, argv);
    }
    await this.#end(status);
  }

  async #dispatch(argv: readonly string[]): Promise<number> {
    const words = readWords(argv, commands, globalOptions);
    this.#words = words;
    const globals = readGlobals(words);
    const print = createPrinter((text) => this.#redact(text));
    if (globals.help) {
      const { helpText } = await import('./cli/operator.ts');
      await print(await helpText(words.path, { commands, globals: globalOptions }));
      return 0;
    }
    if (globals.version) {
      await print(`${VERSION}\n`);
      return 0;
    }
    const settings = this.#readSettings(globals);
    if (words.command === undefined) {
      if (words.path.length === 0) prefixText(settings);
      throw noCommand(words, commands);
    }
    return this.#runCommand(words.command, words, this.#context(settings, print, words.command.quick));
  }

  async #runCommand(command: Command, words: Words, context: Context): Promise<number> {
    if (command.quick) return command.run(commandValues(command, words), context);
    const { operatorValues } = await import('./cli/operator.ts');
    const values = await operatorValues(words, { commands, globals: globalOptions });
    context.log.info('starting WAL-E', { detail: `The subcommand is "${words.path.join(' ')}".` });
    return command.run(values, context);
  }

  /** Child processes and the AWS SDK's credential chain see an envdir's variables too. */
  #readSettings({ envdir, options }: Globals): Settings {
    if (envdir !== undefined) {
      for (const [name, value] of readEnvdir(envdir)) {
        if (value === undefined) delete process.env[name];
        else process.env[name] = value;
      }
    }
    const environment = { ...process.env };
    this.#environment = environment;
    this.#terse = options.terse === true;
    this.#openLog = undefined;
    this.#redaction = undefined;
    return { environment, options: { ...options, envdir } };
  }

  #context(settings: Settings, print: Context['print'], waitedFor: boolean): Context {
    const session = this;
    return {
      settings,
      get log() {
        return session.#log.log;
      },
      get signal() {
        return session.#signal;
      },
      print,
      openStore: (notesFolder) => {
        this.#store ??= this.#openStore(settings, waitedFor, notesFolder);
        return this.#store;
      },
    };
  }

  async #openStore(settings: Settings, waitedFor: boolean, notesFolder?: string): Promise<Store> {
    const { log } = this.#log;
    const prefix = storagePrefix(settings);
    const complaint = gpgComplaint(settings);
    if (complaint !== undefined) log.warning(complaint, { hint: 'Unset it, or name a key.' });
    // The SDK's credential chain looks for files there, and throws for a user whom the system does not know.
    if (prefix.scheme === 's3' && !settings.environment.AWS_SECRET_ACCESS_KEY)
      process.env.HOME ||= (await import('./settings/home.ts')).homeFolder();
    const { openStore } = await import('./store/open.ts');
    return openStore(prefix, settings, { log: log.named('wal_e.store'), waitedFor, notesFolder });
  }

  /** Says what failed and returns the exit status. */
  #failed(error: unknown): number {
    if (error instanceof OutputClosedError) return error.exitStatus;
    const { aborted, reason } = this.#interruption ?? {};
    // What an abort looks like where it was noticed does not matter: its reason does.
    const cause: unknown = aborted === true && !(error instanceof UserError) ? reason : error;
    if (cause instanceof UsageError && this.#log.format === 'text') {
      writeStandardError(`${this.#redact(usageLine(cause, this.#words?.path ?? []))}\n`);
    } else {
      this.#log.log.failure(cause);
    }
    return cause instanceof UserError ? cause.exitStatus : UNEXPECTED_STATUS;
  }

  /** Some statuses mean something to PostgreSQL that a command which never ran must not say by accident. */
  async #failureStatus(error: unknown, argv: readonly string[]): Promise<number> {
    return this.#statusFor(this.#failed(error), argv);
  }

  async #statusFor(status: number, argv: readonly string[]): Promise<number> {
    const verb = this.#words?.path[0] ?? argv.find((word) => Object.hasOwn(commands, word));
    const command = verb === undefined ? undefined : commands[verb];
    if (command?.kind !== 'command' || command.failureStatus === undefined) return status;
    return command.failureStatus(status, this.#environment, argv);
  }

  /** For whoever does not want to wait until everything is cleaned up. */
  async #endAtOnce(status: number): Promise<never> {
    const said = await this.#statusFor(status, process.argv.slice(2));
    await leaveHanging(said, { mayBeKilled: true, patienceMs: AT_ONCE_MS, threadsToo: true });
    process.exit(said);
  }

  async #end(status: number): Promise<never> {
    process.exitCode = status;
    if (this.#store !== undefined) await this.#closeStore(this.#store);
    await this.#openLog?.close();
    await leaveHanging(status, { mayBeKilled: status !== this.#words?.command?.askAgainStatus });
    process.exit(status);
  }

  /** A timer takes half a millisecond to set up, and most stores are closed before it is. */
  async #closeStore(store: Promise<Store>): Promise<void> {
    const closed = store.then((opened) => opened.close()).catch(() => undefined);
    const isClosed = closed.then(() => true);
    const soon = new Promise((done) => setImmediate(done)).then(() => false);
    if (await Promise.race([isClosed, soon])) return;
    await Promise.race([closed, new Promise((done) => setTimeout(done, CLOSE_MS))]);
  }
}

void new Session().run(process.argv.slice(2));
