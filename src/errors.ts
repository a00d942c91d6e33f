/**
 * Errors that a person or PostgreSQL can act on. Everything thrown on purpose is a UserError: `message` says what
 * failed (lower case, no full stop), `detail` the fact behind it, `hint` the next thing to do. main prints them
 * without a stack trace and exits with `exitStatus`; any other Error is a bug and is printed with its stack.
 */
export interface ErrorParts {
  readonly detail?: string | undefined;
  readonly hint?: string | undefined;
  readonly cause?: unknown;
}

export class UserError extends Error {
  override readonly name: string = 'UserError';
  readonly detail: string | undefined;
  readonly hint: string | undefined;
  /** Exit status of the process when nobody handles the error; never above 125 except where wal-fetch decides so. */
  readonly exitStatus: number = 1;

  constructor(message: string, parts: ErrorParts = {}) {
    super(message, parts.cause === undefined ? undefined : { cause: parts.cause });
    this.detail = parts.detail;
    this.hint = parts.hint;
  }
}

/** The command line or a setting is wrong: nothing was done. Exit status 2, as argparse in the original. */
export class UsageError extends UserError {
  override readonly name = 'UsageError';
  override readonly exitStatus = 2;
}

/** A setting (environment or option) is missing or invalid. The original exits 1 for these. */
export class SettingError extends UserError {
  override readonly name = 'SettingError';
}

/** Bytes that were read are not what they must be: damaged object, wrong segment, hostile archive. Never retried blindly. */
export class DataError extends UserError {
  override readonly name = 'DataError';
}

export interface StoreErrorParts extends ErrorParts {
  readonly transient: boolean;
  /** By default what `transient` is. */
  readonly unavailable?: boolean;
  readonly retryAfterMs?: number | undefined;
  readonly full?: boolean | undefined;
  readonly cold?: boolean | undefined;
}

/**
 * The store did not do what was asked. `transient` tells the retrying wrapper whether asking again can help. After the
 * last attempt it cannot, but what failed is still the store, and says nothing about the object: `unavailable`.
 */
export class StoreError extends UserError {
  override readonly name = 'StoreError';
  readonly transient: boolean;
  readonly unavailable: boolean;
  /** How long the store wants to be left alone, where it said so. */
  readonly retryAfterMs: number | undefined;
  /** It has no room for what was to be stored: a disk is full, or a quota used up. Whatever store it is. */
  readonly full: boolean;
  /** The object is there, in cold storage, and has to be brought back before it can be read. */
  readonly cold: boolean;

  constructor(message: string, parts: StoreErrorParts) {
    super(message, parts);
    this.transient = parts.transient;
    this.unavailable = parts.unavailable ?? parts.transient;
    this.retryAfterMs = parts.retryAfterMs;
    this.full = parts.full ?? false;
    this.cold = parts.cold ?? false;
  }
}

/** Whether something failed because the store is full. */
export function isStoreFull(error: unknown): error is StoreError {
  return error instanceof StoreError && error.full;
}
