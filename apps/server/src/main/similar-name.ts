/** A slip of the fingers is at most so far from what was meant. */
const DISTANCE_MAX = 3

/** @returns the known name that was probably meant, if one is near enough */
export function similarName(name: string, known: Iterable<string>): string | undefined {
  const near = [...known]
    .map((one) => ({ one, distance: editDistance(name, one) }))
    .filter(({ distance }) => distance <= DISTANCE_MAX)
  return near.toSorted((left, right) => left.distance - right.distance)[0]?.one
}

/** Levenshtein's: how many letters must be put in, taken out or exchanged. */
function editDistance(left: string, right: string): number {
  let row = Array.from({ length: right.length + 1 }, (_, index) => index)
  for (let at = 1; at <= left.length; at++) {
    const next = [at]
    for (let to = 1; to <= right.length; to++) {
      const exchanged = row[to - 1]! + (left[at - 1] === right[to - 1] ? 0 : 1)
      next.push(Math.min(exchanged, row[to]! + 1, next[to - 1]! + 1))
    }
    row = next
  }
  return row[right.length]!
}
