/**
 * Reads fields out of JSON that a stranger may have written. Every accessor names the field in its error and looks
 * only at the object's own properties, so `__proto__`, `constructor` and the like are names as any other.
 */
import { DataError } from '../errors.ts';

export class JsonFields {
  readonly #object: object;
  readonly #where: string;

  constructor(value: unknown, where: string) {
    if (typeof value !== 'object' || value === null || Array.isArray(value))
      throw new DataError(`${where} is not a JSON object`);
    this.#object = value;
    this.#where = where;
  }

  has(name: string): boolean {
    return Object.hasOwn(this.#object, name);
  }

  object(name: string): JsonFields {
    return new JsonFields(this.#value(name), this.#path(name));
  }

  list(name: string, maxLength: number): readonly unknown[] {
    const value = this.#value(name);
    if (!Array.isArray(value)) throw this.#wrong(name, 'a list');
    if (value.length > maxLength) throw this.#wrong(name, `a list of at most ${maxLength}`);
    return value;
  }

  objects(name: string, maxLength: number): readonly JsonFields[] {
    return this.list(name, maxLength).map(
      (item, index) => new JsonFields(item, `${this.#path(name)}[${index}]`),
    );
  }

  /** Text that matches `form` as a whole; `what` says in words what was expected. */
  text(name: string, form: RegExp, what: string): string {
    const value = this.#value(name);
    if (typeof value !== 'string' || !form.test(value)) throw this.#wrong(name, what);
    return value;
  }

  /** A whole number from `min` to `max` (by default what a JSON number holds exactly). */
  integer(name: string, min = 0, max = Number.MAX_SAFE_INTEGER): number {
    const value = this.#value(name);
    if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < min || value > max)
      throw this.#wrong(name, `a whole number from ${min} to ${max}`);
    return value;
  }

  boolean(name: string): boolean {
    const value = this.#value(name);
    if (typeof value !== 'boolean') throw this.#wrong(name, 'true or false');
    return value;
  }

  #value(name: string): unknown {
    const value: unknown = Object.getOwnPropertyDescriptor(this.#object, name)?.value;
    if (value === undefined) throw new DataError(`${this.#path(name)} is missing`);
    return value;
  }

  #path(name: string): string {
    return `${this.#where}.${name.slice(0, 80)}`;
  }

  #wrong(name: string, expected: string): DataError {
    return new DataError(`${this.#path(name)} is not ${expected}`);
  }
}
