/** Scripts that run in the page. They are texts: the rest of the tests has no browser around it. */

/** Before anything of the page's own: tells of every violation of the policy, and of every title. */
export const watchPage = `
  document.addEventListener('securitypolicyviolation', ({ violatedDirective, blockedURI }) => {
    noteFault('blocked by ' + violatedDirective + ': ' + blockedURI)
  })
  const look = () => noteTitle(document.title)
  addEventListener('DOMContentLoaded', () => {
    look()
    new MutationObserver(look).observe(document.head, { subtree: true, childList: true, characterData: true })
  })
`

export const isScrolledSideways = 'document.documentElement.scrollWidth > document.documentElement.clientWidth'

/** Until what has changed is on the screen. */
export const twoFrames = 'new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))'

/** Everything that the databases of the page still hold. */
export const readDatabases = `(async () => {
  const done = (request) => new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result)
    request.onerror = () => reject(request.error)
  })
  const held = []
  for (const { name } of await indexedDB.databases()) {
    const database = await done(indexedDB.open(name))
    for (const store of database.objectStoreNames)
      held.push(...(await done(database.transaction(store).objectStore(store).getAll())))
    database.close()
  }
  return held
})()`

/** What the table of the page says, without what is marked as code. */
export const tableWithoutCode = `(() => {
  const copy = document.querySelector('tbody').cloneNode(true)
  for (const code of copy.querySelectorAll('code')) code.remove()
  return [...copy.querySelectorAll('td')].map((cell) => cell.textContent).join(' | ')
})()`
