/** What is private does not fit where it could leak: not in a log field (by type), not in JSON, not in a template string. */

import { inspect } from 'node:util'

class Sealed<T> {
  readonly #value: T
  readonly #mark: string
  constructor(value: T, mark: string) {
    this.#value = value
    this.#mark = mark
  }
  /** The value itself. Call it only where the value is rendered to who may see it, or encrypted. */
  reveal(): T {
    return this.#value
  }
  toJSON(): string {
    return this.#mark
  }
  toString(): string {
    return this.#mark
  }
  [Symbol.toPrimitive](): string {
    return this.#mark
  }
  [inspect.custom](): string {
    return this.#mark
  }
}

/** Protected health information (45 CFR 160.103): names, titles, bodies. */
export class Phi<T> extends Sealed<T> {
  declare readonly phi: true
  constructor(value: T) {
    super(value, '[PHI]')
  }
}

/** Passwords, tokens, keys as text. Binary keys are `KeyObject`s. */
export class Secret<T> extends Sealed<T> {
  declare readonly secret: true
  constructor(value: T) {
    super(value, '[REDACTED]')
  }
}
