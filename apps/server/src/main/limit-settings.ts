import { limitDefaults, limitSpecs, type LimitName, type Limits, type TunableLimitName } from '@sotto/protocol'

/** Limits that an operator may change: SOTTO_LIMIT_<NAME>. The others are part of the contract. */
export const tunableLimits = (Object.keys(limitSpecs) as LimitName[]).filter(isTunable)

function isTunable(name: LimitName): name is TunableLimitName {
  return 'min' in limitSpecs[name]
}

export function limitSetting(name: LimitName): string {
  return `SOTTO_LIMIT_${name.replaceAll(/[A-Z]/g, (letter) => `_${letter}`).toUpperCase()}`
}

/**
 * Pairs that must stand in this order, each value within its own bounds already, and why.
 *
 * A session that is idle longer than it lives would make the shorter limit mean nothing. A rotated refresh token that
 * still answers when the next one is rotated is never noticed to be used twice.
 */
export const limitOrder = [
  ['sessionIdleSeconds', 'sessionAbsoluteSeconds', 'a session would end before it can be idle'],
  ['sessionExpiringSeconds', 'sessionAbsoluteSeconds', 'a session would be expiring before it begins'],
  ['refreshGraceSeconds', 'accessTokenSeconds', 'a refresh token that is used twice would not be noticed'],
] as const satisfies readonly (readonly [smaller: TunableLimitName, larger: TunableLimitName, otherwise: string])[]

/** @param problems  gets every limit that is out of its bounds, and every pair that contradicts itself */
export function readLimits(env: Readonly<Record<string, string | undefined>>, problems: string[]): Limits {
  const changed: Partial<Record<LimitName, number>> = {}
  for (const name of tunableLimits) {
    const text = env[limitSetting(name)]
    if (text === undefined || text === '') continue
    const { min, max, unit } = limitSpecs[name]
    const value = Number(text)
    if (/^\d+$/.test(text) && value >= min && value <= max) changed[name] = value
    else problems.push(`${limitSetting(name)} is not a whole number from ${min} to ${max} (${unit})`)
  }
  const limits = { ...limitDefaults, ...changed }
  for (const [smaller, larger, otherwise] of limitOrder)
    if (limits[smaller] > limits[larger])
      problems.push(
        `${limitSetting(smaller)} (${limits[smaller]}) is more than ${limitSetting(larger)} (${limits[larger]}): ${otherwise}`,
      )
  return Object.freeze(limits)
}
