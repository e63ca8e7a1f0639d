/**
 * What this device remembers in the open. Nothing about a person ever belongs here: a language, and whether there may be
 * a session to resume.
 */
export type SettingName = 'language' | 'session'

export function readSetting(name: SettingName): string | null {
  try {
    return localStorage.getItem(`sotto-${name}`)
  } catch {
    // Storage is blocked: every visit is a first one.
    return null
  }
}

export function writeSetting(name: SettingName, value: string | null): void {
  try {
    if (value === null) localStorage.removeItem(`sotto-${name}`)
    else localStorage.setItem(`sotto-${name}`, value)
  } catch {
    // As above.
  }
}
