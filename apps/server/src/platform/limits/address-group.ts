/**
 * What counts as one address: an IPv4 address, or the /64 that an IPv6 subscriber is given as a whole (RFC 6177).
 * @param address  as the socket tells it; an IPv4 address may come in IPv6 clothes (RFC 4291 §2.5.5.2)
 */
export function addressGroup(address: string | null): string {
  if (address === null) return 'unknown'
  const plain = address.split('%')[0]!.toLowerCase()
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/.exec(plain)
  if (mapped !== null) return mapped[1]!
  if (!plain.includes(':')) return plain
  const [head = '', tail] = plain.split('::')
  const left = head === '' ? [] : head.split(':')
  const right = tail === undefined || tail === '' ? [] : tail.split(':')
  const zeros = tail === undefined ? [] : Array.from({ length: Math.max(0, 8 - left.length - right.length) }, () => '0')
  const network = [...left, ...zeros, ...right].slice(0, 4).map((part) => part.replace(/^0+(?=.)/, ''))
  return `${network.join(':')}::/64`
}
