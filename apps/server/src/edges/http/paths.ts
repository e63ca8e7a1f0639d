import { operations, type Operation } from '@sotto/protocol'

/** Which methods the contract has at a path; none: it has no such path. A parameter may be anything but a slash. */
export function allowedMethods(path: string): readonly Operation['method'][] {
  return paths.filter(({ pattern }) => pattern.test(path)).flatMap(({ methods }) => methods)
}

const byPath = Map.groupBy(Object.values(operations) as Operation[], (operation) => operation.path)
const paths = [...byPath].map(([path, list]) => ({
  pattern: new RegExp(`^${path.replaceAll('.', String.raw`\.`).replaceAll(/:[A-Za-z]+/g, '[^/]+')}$`),
  methods: list.map((operation) => operation.method),
}))
