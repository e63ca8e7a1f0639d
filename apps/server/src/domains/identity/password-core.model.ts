const replacements: Readonly<Record<string, string>> = {
  '@': 'a',
  '4': 'a',
  '3': 'e',
  '0': 'o',
  '1': 'i',
  '!': 'i',
  '5': 's',
  $: 's',
  '7': 't',
}

/** Letters and digits without case; the usual replacements undone, since guessers know them. */
export function coreOf(text: string): string {
  const replaced = text
    .normalize('NFKC')
    .toLowerCase()
    .replace(/[@4301!5$7]/g, (character) => replacements[character]!)
  return replaced.replace(/[^\p{L}\p{N}]/gu, '')
}
