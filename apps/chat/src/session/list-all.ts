interface Page<Item> {
  readonly items: readonly Item[]
  readonly next: string | null
}

/** Every page of a short list. */
export async function listAll<Item>(
  load: (page: { readonly after?: string }) => Promise<Page<Item>>,
): Promise<readonly Item[]> {
  const items: Item[] = []
  for (let after: string | null = ''; after !== null;) {
    const page: Page<Item> = await load(after === '' ? {} : { after })
    items.push(...page.items)
    after = page.next
  }
  return items
}
