import { fileStorage } from '../src/node.ts'

/** A process that holds a store until it is killed by its test. Argument: folder. Says `open` or `refused`. */
const [directory = ''] = process.argv.slice(2)
const said = await fileStorage({ directory })
  .open('here')
  .then(
    () => 'open',
    () => 'refused',
  )
process.stdout.write(`${said}\n`)
setInterval(() => {}, 60_000)
